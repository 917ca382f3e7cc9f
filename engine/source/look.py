"""Looks at the first bytes of listed files: how each of them is to be read.

Files that are not on this machine are looked at several at a time, since each costs a round trip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from engine.batch import Compression
from engine.errors import SourceChangedError
from engine.source.compression import compression_of
from engine.source.file import SourceFile
from engine.source.formats import HEAD_BYTES, FileLayout, detect
from engine.source.sources import BLOB_PREFIX, Sources
from engine.spec import LayoutSpec

_AT_ONCE: Final = 16
_BZIP2_BLOCK_BYTES: Final = 1024 * 1024

Looked = tuple[SourceFile, FileLayout]


def look_at_files(
    files: Iterable[SourceFile], spec: LayoutSpec, sources: Sources
) -> Iterator[Looked]:
    """Yield the files in order, without empty ones, each with its layout.

    Raises:
        SourceError: A file cannot be read.
        SourceChangedError: A file was deleted or changed since it was listed.
        RecordError: A file should be Parquet and is not.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look") as pool:
        waiting: deque[tuple[SourceFile, Future[FileLayout]]] = deque()
        try:
            for file in files:
                if not file.size_bytes:
                    continue
                if file.path.startswith("/") and not waiting:
                    yield file, look_at(file, spec, sources)
                    continue
                waiting.append((file, pool.submit(look_at, file, spec, sources)))
                if len(waiting) >= 2 * _AT_ONCE:
                    yield _first_of(waiting)
            while waiting:
                yield _first_of(waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def look_at(file: SourceFile, spec: LayoutSpec, sources: Sources) -> FileLayout:
    """Return the layout of a file that is not empty.

    Raises:
        SourceError: As ``look_at_files``.
        RecordError: As ``look_at_files``.
    """
    name = sources.name_of(file.path)
    with sources.open_file(file.path, version=file.version) as stream:
        head = stream.read(HEAD_BYTES)
        if compression_of(head) is Compression.BZIP2:  # its blocks only unpack as a whole
            head += stream.read(_BZIP2_BLOCK_BYTES)
    if len(head) < min(HEAD_BYTES, file.size_bytes):
        raise has_become_shorter(name, file.size_bytes)
    # What callers know of a file that the service keeps does not end in its suffix.
    own_name = file.path if file.path.startswith(BLOB_PREFIX) else name
    return detect(
        head, own_name, spec.format, has_pointer=spec.items_pointer is not None, label=name
    )


def has_become_shorter(name: str, size_bytes: int) -> SourceChangedError:
    """Return the error for a file that ends before the length that was listed."""
    return SourceChangedError(
        f"{name}: has become shorter than {size_bytes} bytes since it was listed", location=name
    )


def _first_of(waiting: deque[tuple[SourceFile, Future[FileLayout]]]) -> Looked:
    file, layout = waiting.popleft()
    return file, layout.result()
