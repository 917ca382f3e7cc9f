"""A job's result: files of rows, the manifest that is written last, and pages of rows.

A reader reaches files only through the manifest, so nobody ever sees half a result.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from engine.attempt import Piece
from engine.blobs import BlobStore
from engine.errors import InputError, Issue, UnavailableError
from engine.jsonvalue import decode, encode
from engine.rows import Columns, decode_lines, merge_columns

READ_AHEAD_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished job left behind.

    Attributes:
        job: The job.
        files: The result's files, in the order of their rows.
        exact: False when items are missing from it.
        facts: The job's spec, counts and counters, for people and other programs.
    """

    job: str
    files: tuple[Piece, ...]
    exact: bool
    facts: dict[str, Any]

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Length of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def columns(self) -> Columns:
        """The columns of all files together."""
        return merge_columns(column for file in self.files for column in file.columns)

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON."""
        return encode(
            {
                "job": self.job,
                "rows": self.rows,
                "bytes": self.size_bytes,
                "exact": self.exact,
                "columns": [{"name": name, "type": kind} for name, kind in self.columns],
                "files": [
                    {
                        "name": file.name,
                        "rows": file.rows,
                        "bytes": file.size_bytes,
                        "sha256": file.sha256,
                        "columns": [list(column) for column in file.columns],
                    }
                    for file in self.files
                ],
                **self.facts,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read what ``to_bytes`` wrote."""
        stored = decode(data)
        for derived in ("rows", "bytes", "columns"):
            del stored[derived]
        return cls(
            job=stored.pop("job"),
            exact=stored.pop("exact"),
            files=tuple(
                Piece(
                    name=file["name"],
                    rows=file["rows"],
                    size_bytes=file["bytes"],
                    sha256=file["sha256"],
                    columns=tuple((name, kind) for name, kind in file["columns"]),
                )
                for file in stored.pop("files")
            ),
            facts=stored,
        )


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after a row: a file and a byte offset in it. A page costs the same anywhere."""

    file: int
    offset: int

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.file}:{self.offset}".encode()).decode()

    @classmethod
    def parse(cls, text: str, *path: str) -> Cursor:
        """Read a cursor that a page gave out.

        Raises:
            InputError: It is none of ours.
        """
        try:
            file, _, offset = base64.urlsafe_b64decode(text.encode()).decode().partition(":")
            if not (file.isdigit() and offset.isdigit()):
                raise ValueError("not two numbers")
            return cls(int(file), int(offset))
        except (ValueError, binascii.Error):
            raise InputError(Issue(path, f"{text!r} is not a cursor of these rows")) from None


START: Final = Cursor(0, 0)


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows, each with the cursor after it."""

    rows: tuple[tuple[Cursor, Any], ...]
    has_next: bool


def read_page(
    blobs: BlobStore, manifest: Manifest, *, first: int, after: Cursor = START
) -> RowPage:
    """Read rows of a result, in the order of its files.

    Args:
        blobs: Where the result is.
        manifest: The job's manifest.
        first: How many rows at most.
        after: Where to begin.

    Raises:
        InputError: *after* is no place between two rows.
    """
    rows: list[tuple[Cursor, Any]] = []
    for cursor, line in _lines_from(blobs, manifest, after):
        if len(rows) == first:
            return RowPage(rows=tuple(rows), has_next=True)
        rows.append((cursor, decode(line)))
    return RowPage(rows=tuple(rows), has_next=False)


def read_all(blobs: BlobStore, manifest: Manifest) -> Iterator[Any]:
    """Yield every row of a result."""
    for file in manifest.files:
        yield from map(decode, _lines_of(blobs, file, 0))


def _lines_from(
    blobs: BlobStore, manifest: Manifest, after: Cursor
) -> Iterator[tuple[Cursor, bytes]]:
    for index in range(after.file, len(manifest.files)):
        offset = after.offset if index == after.file else 0
        for line in _lines_of(blobs, manifest.files[index], offset):
            offset += len(line) + 1
            yield Cursor(index, offset), line


def _lines_of(blobs: BlobStore, file: Piece, offset: int) -> Iterator[bytes]:
    """Yield the lines of one file from *offset*, reading ahead a block at a time.

    Raises:
        InputError: No line begins there.
        UnavailableError: The file is shorter than the manifest says.
    """
    if offset and blobs.read(file.name, start=offset - 1, end=offset) != b"\n":
        raise InputError(Issue(("after",), "is not a cursor of these rows"))
    rest = b""
    while offset < file.size_bytes:
        block = blobs.read(file.name, start=offset, end=offset + READ_AHEAD_BYTES)
        if not block:
            raise UnavailableError(
                f"blob {file.name}: ends at byte {offset}, not {file.size_bytes}"
            )
        offset += len(block)
        whole, newline, rest = (rest + block).rpartition(b"\n")
        yield from decode_lines(whole + newline)
