"""Processes of one deployment on one machine that show their figures as one.

Each of them answers on a unix socket below the data folder, which only this user may enter, with
all that it has counted. Whichever is asked by Prometheus asks the others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "metrics"
SUFFIX: Final = ".sock"
ANSWERS_WITHIN_S: Final = 1.0
MAX_BYTES: Final = 4 * 1024 * 1024

log = logging.getLogger(__name__)


class Siblings:
    """The processes that share a data folder on this machine.

    Args:
        data_dir: Of the deployment.
        role: ``api`` or ``worker``.
        tell: Returns the figures of this process.
    """

    def __init__(self, data_dir: Path, role: str, tell: Callable[[], bytes]) -> None:
        self._folder = data_dir / FOLDER
        self._tell = tell
        self.name = f"{role}-{os.getpid()}"
        """Of this process, as figures show it."""

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answer siblings that ask, while the context is open; figures are no reason to fail."""
        path = self._folder / f"{socket.gethostname()}-{self.name}{SUFFIX}"
        try:
            listener = self._listener(path)
        except OSError as exc:
            log.warning("figures of %s are shown by nobody else: %s", self.name, exc)
            yield
            return
        server = await asyncio.start_unix_server(self._answer, sock=listener)
        try:
            yield
        finally:
            server.close()
            with suppress(OSError):
                path.unlink()

    def _listener(self, path: Path) -> socket.socket:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)  # of one with the same id, before
        for other in self._paths():
            _remove_if_dead(other)
        listener = socket.socket(socket.AF_UNIX)
        try:
            with _opened(self._folder) as folder:
                listener.bind(f"{folder}/{path.name}")
        except OSError:
            listener.close()
            raise
        return listener

    async def ask(self) -> dict[str, bytes]:
        """Return the figures of the others by their names; who does not answer is left out."""
        prefix = f"{socket.gethostname()}-"
        others = {path.stem.removeprefix(prefix): path for path in self._paths()}
        others.pop(self.name, None)
        if not others:
            return {}
        with _opened(self._folder) as folder:
            told = await asyncio.gather(*(_asked(folder, path) for path in others.values()))
        return {
            name: figures for name, figures in zip(others, told, strict=True) if figures is not None
        }

    def _paths(self) -> list[Path]:
        """Return the sockets of this machine; others may share the folder."""
        return sorted(self._folder.glob(f"{socket.gethostname()}-*{SUFFIX}"))

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                writer.write(self._tell())
                writer.close()
                await writer.wait_closed()


async def _asked(folder: str, path: Path) -> bytes | None:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(f"{folder}/{path.name}")
            try:
                return await _whole(reader)
            finally:
                writer.close()
    except ConnectionRefusedError:
        _remove_if_dead(path)
    except TimeoutError:
        log.warning("no figures from %s: it does not answer", path.name)
    except OSError as exc:
        log.warning("no figures from %s: %s", path.name, exc)
    return None


def _remove_if_dead(path: Path) -> None:
    """Remove the socket of a process that was killed; another may only not listen yet."""
    if not Path("/proc", path.stem.rpartition("-")[2]).exists():
        path.unlink(missing_ok=True)


async def _whole(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while len(found) < MAX_BYTES and (part := await reader.read(65536)):
        found += part
    return bytes(found)


@contextmanager
def _opened(folder: Path) -> Iterator[str]:
    """Have a short name for *folder*: the address of a socket holds 108 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
