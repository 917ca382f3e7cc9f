"""Blobs through obstore: a folder on local disk, or a prefix of an S3 bucket."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Literal, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from adapters.obstore.s3_config import s3_client, s3_config
from engine.errors import ConfigError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import RetryConfig

LIST_CHUNK: Final = 1_000
DELETE_CHUNK: Final = 1_000
PART_BYTES: Final = 16 * 1024 * 1024
PARTS_AT_ONCE: Final = 4
MOVE_TRIES: Final = 10

_S3_URL: Final = re.compile(r"s3://([^/]+)/?(.*)")
_RETRIES: Final[RetryConfig] = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {
        "init_backoff": timedelta(milliseconds=50),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}


def s3_store(
    url: str, *, endpoint: str | None = None, environ: Mapping[str, str] = os.environ
) -> S3Store:
    """Open a prefix of a bucket.

    Args:
        url: ``s3://bucket`` or ``s3://bucket/prefix``.
        endpoint: Address of an S3-compatible store, which is then called in path style.
        environ: Where the standard AWS variables for keys and region are; obstore finds roles of
            the machine by itself.

    Raises:
        ConfigError: *url* is none of S3.
    """
    found = _S3_URL.fullmatch(url)
    if found is None:
        raise ConfigError(f"{url}: must be s3://bucket or s3://bucket/prefix")
    return S3Store(
        found[1],
        prefix=found[2].strip("/") or None,
        config=s3_config(environ, endpoint=endpoint),
        client_options=s3_client(endpoint=endpoint, connect_s=5, timeout_s=60),
        retry_config=_RETRIES,
    )


class ObstoreBlobs:
    """Implements ``engine.blobs.BlobStore``. A put is seen whole or not at all.

    In a folder, a blob is written beside its name and then renamed.

    Args:
        store: Where blobs are.
        folder: Where that is on disk; None for nowhere.
    """

    def __init__(self, store: LocalStore | S3Store, *, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def local(cls, folder: Path) -> ObstoreBlobs:
        """Open a folder; created if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(folder, automatic_cleanup=True), folder=folder.resolve())

    @classmethod
    def s3(
        cls,
        url: str,
        endpoint: str | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> ObstoreBlobs:
        """Open a prefix of a bucket; see ``s3_store``.

        Raises:
            ConfigError: *url* is none of S3.
        """
        return cls(s3_store(url, endpoint=endpoint, environ=environ))

    def put(self, name: str, data: bytes) -> None:
        """Write a blob; see ``BlobStore``."""
        with _translated(name):
            obstore.put(self._store, name, data, chunk_size=PART_BYTES)

    def put_file(self, name: str, path: Path) -> None:
        """Take over a file; see ``BlobStore``. Renamed where that is possible, else copied."""
        with _translated(name):
            if self._folder is not None:
                _move(path, self._folder / _checked(name))
                return
            obstore.put(
                self._store, name, path, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
            path.unlink()

    def read(self, name: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes of a blob; see ``BlobStore``."""
        with _translated(name):
            if start == 0 and end is None:
                return bytes(obstore.get(self._store, name).bytes())
            options: GetOptions = {"range": {"offset": start} if end is None else (start, end)}
            try:
                return bytes(obstore.get(self._store, name, options=options).bytes())
            except BaseError:
                # Stores refuse a range that has no byte, each in words of its own.
                stop = obstore.head(self._store, name)["size"]
                if start < (stop if end is None else min(end, stop)):
                    raise
                return b""

    def size(self, name: str) -> int:
        """Return a blob's length; see ``BlobStore``."""
        with _translated(name):
            return obstore.head(self._store, name)["size"]

    def local_path(self, name: str) -> Path | None:
        """Return where a blob lies on this disk; see ``BlobStore``."""
        return None if self._folder is None else self._folder / _checked(name)

    def presigned_url(self, name: str, *, method: str, expires_s: int) -> str | None:
        """Return a URL signed with the store's own credentials; None for a folder."""
        if not isinstance(self._store, S3Store):
            return None
        with _translated(name):
            return obstore.sign(
                self._store,
                cast(Literal["GET", "HEAD", "PUT"], method),
                name,
                timedelta(seconds=expires_s),
            )

    def list(self, prefix: str) -> Iterator[str]:
        """Yield names below a folder; see ``BlobStore``."""
        with _translated(prefix):
            for page in obstore.list(self._store, prefix, chunk_size=LIST_CHUNK):
                yield from (entry["path"] for entry in page)

    def delete(self, names: Iterable[str]) -> None:
        """Remove blobs; see ``BlobStore``."""
        remaining = iter(names)
        while some := list(islice(remaining, DELETE_CHUNK)):
            try:
                with _translated(some[0]):
                    obstore.delete(self._store, some)
            except NotFoundError:
                # A folder names no culprit, and may have left the others.
                self._delete_one_by_one(some)

    def _delete_one_by_one(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                with _translated(name):
                    obstore.delete(self._store, name)
            except NotFoundError:
                continue


def _move(path: Path, target: Path) -> None:
    """Put *path* where *target* is, in one step."""
    for _ in range(MOVE_TRIES):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _rename_or_copy(path, target)
        except FileNotFoundError:
            # Somebody deleted the folder's last blob, and the folder with it, just now.
            if not path.exists():
                raise
        else:
            return
    raise OSError("its folder is removed again and again")


def _rename_or_copy(path: Path, target: Path) -> None:
    """Rename *path*, or copy it from another file system.

    A copy has a name of its own until it is whole: one that nobody ends is removed with its job.
    """
    try:
        path.replace(target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
    else:
        return
    part = target.with_name(f"{target.name}.{token_hex(4)}.part")
    try:
        shutil.copyfile(path, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    path.unlink()


def _checked(name: str) -> str:
    """Return *name* if it stays below the store's folder, as obstore checks it elsewhere.

    Raises:
        ValueError: It does not.
    """
    if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
        raise ValueError(f"illegal blob name {name!r}")
    return name


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFoundError(f"no blob {name}") from exc
    except (BaseError, OSError) as exc:
        # obstore's own words; what it adds from the second line on is of no use to anybody.
        raise UnavailableError(f"blob {name}: {str(exc).partition(chr(10))[0]}") from exc
