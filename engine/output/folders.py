"""Results in folders of this machine, below the output roots.

Folders are entered one by one, from the root on, and a link is never followed: what is checked is
what is written to, whoever changes the folders meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from engine.errors import OutputError, UnavailableError

_SCHEME: Final = "file://"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OutputFolders:
    """Implements ``OutputStore``. A relative path starts at the first root.

    Args:
        roots: Folders that exist; at least one.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [root.resolve() for root in roots]

    def check(self, uri: str) -> None:
        """Refuse a path that is not below a root, or leads through a link; see ``OutputStore``."""
        root, names = self._place_of(uri)
        folder = root
        for name in names:
            folder = folder / name
            if folder.is_symlink():
                raise ValueError("leads through a link")
            if not folder.exists():
                return
            if not folder.is_dir():
                raise ValueError("is not a folder")

    def write(self, uri: str, name: str, chunks: Iterator[bytes]) -> None:
        """Write a file beside its name, then rename it; see ``OutputStore``."""
        with self._entered(uri, name) as (folder, last):
            temporary = f".{last}.{uuid4().hex}"
            try:
                with open(os.open(temporary, _NEW_FILE, 0o644, dir_fd=folder), "wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def remove(self, uri: str, name: str) -> None:
        """Remove a file; see ``OutputStore``."""
        with self._entered(uri, name) as (folder, last), suppress(FileNotFoundError):
            os.unlink(last, dir_fd=folder)

    def names(self, uri: str, folder: str) -> Collection[str]:
        """Return the files of a folder; see ``OutputStore``."""
        with self._entered(uri, f"{folder}/-") as (opened, _):
            return os.listdir(opened)

    @contextmanager
    def _entered(self, uri: str, name: str) -> Iterator[tuple[int, str]]:
        """Open the folder of a file, creating what is missing; yield it with the last name."""
        root, names = self._place_of(uri)
        *folders, last = (*names, *name.split("/"))
        try:
            opened = os.open(root, _FOLDER)
            try:
                for folder in folders:
                    opened = _next(opened, folder)
                yield opened, last
            finally:
                os.close(opened)
        except NotADirectoryError as exc:
            raise OutputError(f"{uri}: leads through a link or a file") from exc
        except OSError as exc:
            raise UnavailableError(f"{uri}: cannot be written: {exc.strerror}") from exc

    def _place_of(self, uri: str) -> tuple[Path, list[str]]:
        path = uri[len(_SCHEME) :] if uri.lower().startswith(_SCHEME) else uri
        if "\0" in path or not path.isprintable():
            raise ValueError("has characters that a path must not have")
        if path != uri and not path.startswith("/"):
            raise ValueError("file:// must be followed by an absolute path")
        names = [name for name in path.split("/") if name not in ("", ".")]
        if ".." in names:
            raise ValueError("'..' is not allowed in a path")
        if not path.startswith("/"):
            return self._roots[0], names
        for root in self._roots:
            steps = root.parts[1:]
            if tuple(names[: len(steps)]) == steps:
                return root, names[len(steps) :]
        raise ValueError("is not below one of this deployment's output roots")


def _next(opened: int, name: str) -> int:
    """Enter a folder, created if missing, and close the one before."""
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=opened)
    entered = os.open(name, _FOLDER, dir_fd=opened)
    os.close(opened)
    return entered
