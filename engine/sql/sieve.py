"""Keeps of a file the records that DuckDB can read, and tells of the others.

A MiB of records at a time is put to the test, halves of what fails, down to single records: so
what DuckDB refuses is refused, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.batch import FilePlace
from engine.errors import RecordError, SqlError
from engine.source.chunk import Chunk
from engine.source.content import Content
from engine.source.csv_mask import CsvMask, first_record_end
from engine.source.records import record_chunks
from engine.source.salvage import Report, Unreadable, record_bounds

_EMPTY: Final = (b"", b"\n", b"\r\n", b"\r")
_WHERE: Final = re.compile(r"; Original Line: .*?(?=; [A-Z]|$)| on Line: \d+|,? in line \d+")

Reads = Callable[[bytes], None]
Locate = Callable[[int], object]
Write = Callable[[bytes, Path], None]


def _write(data: bytes, path: Path) -> None:
    path.write_bytes(data)


@dataclass
class Sieve:
    """Sifts the files of one batch.

    Attributes:
        scratch: Where records are put to the test.
        run: Runs a query to its end, or raises a TaskError; knows paths by other names.
        report: Is told of everything that cannot be read.
        dropped: Which records of the part that is being sifted were left out, counted from 0
            without blank ones.
    """

    scratch: Path
    run: Callable[[str, Mapping[str, str]], None]
    report: Report
    dropped: list[int]

    def reads_with(self, query_of: Callable[[str], str], name: str, write: Write = _write) -> Reads:
        """Return what puts records of *name* to the test: whether a query over them runs.

        Args:
            query_of: Returns the query over a file.
            name: The file as callers know it.
            write: Makes a file of records.
        """

        def reads(data: bytes) -> None:
            path = self.scratch / "probe"
            write(data, path)
            try:
                self.run(query_of(str(path)), {str(path): name})
            finally:
                path.unlink()

        return reads

    def sift(
        self,
        content: Content,
        target: Path,
        reads: Reads,
        *,
        delimiter: str | None = None,
        has_header: bool = False,
        locate: Locate | None = None,
    ) -> None:
        """Copy what can be read of *content* to *target*.

        Args:
            content: Begins where a record does.
            target: A new file.
            reads: Raises an error for records that cannot be read.
            delimiter: Of CSV; None where a line is a record.
            has_header: Whether the first record is none and not to be copied.
            locate: Says where a record is by its number; None: by its first byte.
        """
        mask = bytes if delimiter is None else CsvMask(delimiter).mask
        count = 0
        chunks = record_chunks(content, mask)
        with target.open("wb") as sink:
            while (chunk := self._next(chunks, content.name)) is not None:
                if has_header:
                    end = first_record_end(chunk.data, delimiter or ",") or len(chunk.data)
                    chunk = Chunk(chunk.name, chunk.start + end, chunk.data[end:])
                    has_header = False
                count = self._sift_chunk(chunk, sink, reads, delimiter, count, locate)

    def _next(self, chunks: Iterator[Chunk], name: str) -> Chunk | None:
        """Return the next records; none after one that is longer than 16 MiB."""
        try:
            return next(chunks, None)
        except RecordError as exc:
            self.report(Unreadable(name, b"", exc))
            return None

    def _sift_chunk(
        self,
        chunk: Chunk,
        sink: Any,
        reads: Reads,
        delimiter: str | None,
        count: int,
        locate: Locate | None,
    ) -> int:
        """Copy what can be read of a chunk; return how many records there have been so far."""
        masked = chunk.data if delimiter is None else CsvMask(delimiter).mask(chunk.data)
        bounds = record_bounds(masked)
        waiting = [(0, len(bounds) - 1)]
        while waiting:
            first, last = waiting.pop()
            if first == last:
                continue
            data = chunk.data[bounds[first] : bounds[last]]
            if last - first == 1 and data in _EMPTY:
                sink.write(data)
                continue
            try:
                reads(data)
            except (RecordError, SqlError) as exc:
                if last - first > 1:
                    middle = (first + last) // 2
                    waiting += [(middle, last), (first, middle)]
                    continue
                start = chunk.start + bounds[first]
                place = FilePlace(chunk.name, start) if locate is None else locate(count)
                self.report(Unreadable(str(place), data.rstrip(b"\r\n"), as_record_error(exc)))
                self.dropped.append(count)
                count += 1
            else:
                sink.write(data)
                count += sum(
                    chunk.data[bounds[at] : bounds[at + 1]] not in _EMPTY
                    for at in range(first, last)
                )
        return count


def as_record_error(error: RecordError | SqlError) -> RecordError:
    """Return *error*, which came from reading alone, without places: they are not the file's."""
    return RecordError(_WHERE.sub("", error.message))
