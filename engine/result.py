"""A job's result: files of rows, the manifest that is written last, and pages of rows.

A reader reaches files only through the manifest, so nobody ever sees half a result. Beside our own
facts it has the fields of AWS Step Functions' ResultWriter: where the listings of batches are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from engine.attempt import Piece
from engine.blobs import BlobStore
from engine.cursor import decode_numbers, encode_cursor
from engine.jsonvalue import decode, encode, is_encodable
from engine.listings import Listing, ListingStatus
from engine.output.read import read_rows
from engine.output.suffix import format_of
from engine.rows import Columns, merge_columns
from engine.spec import DataFormat

PAGE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished job left behind.

    Attributes:
        job: The job.
        files: The result's files, in the order of their rows.
        exact: False when items are missing from it.
        facts: The job's spec, counts and counters, for people and other programs.
        format: Of the files.
        listings: What became of each batch; their names are keys in *bucket*.
        bucket: Where they lie; empty in the service's own storage.
    """

    job: str
    files: tuple[Piece, ...]
    exact: bool
    facts: dict[str, Any]
    format: DataFormat = DataFormat.JSONL
    listings: tuple[Listing, ...] = ()
    bucket: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Every blob that it names."""
        files = (file.name for file in self.files)
        return frozenset((*files, *(listing.name for listing in self.listings)))

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
                "format": self.format,
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
                "DestinationBucket": self.bucket,
                "MapRunArn": self.job,
                "ResultFiles": {
                    status.value: [
                        listing.to_json() for listing in self.listings if listing.status is status
                    ]
                    for status in ListingStatus
                },
                **self.facts,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read what ``to_bytes`` wrote, in this version or an older one."""
        stored = decode(data)
        for derived in ("rows", "bytes", "columns", "MapRunArn"):
            stored.pop(derived, None)
        return cls(
            job=stored.pop("job"),
            exact=stored.pop("exact"),
            format=DataFormat(stored.pop("format", DataFormat.JSONL)),
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
            listings=tuple(
                Listing.from_json(status, listing)
                for status, listings in stored.pop("ResultFiles", {}).items()
                for listing in listings
            ),
            bucket=stored.pop("DestinationBucket", ""),
            facts=stored,
        )


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after a row: a file, and a place in it as its format counts.

    A page costs the same anywhere.
    """

    file: int
    offset: int

    def __str__(self) -> str:
        return encode_cursor(f"{self.file}:{self.offset}")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor that a page gave out.

        Raises:
            InputError: It is none of ours.
        """
        file, offset = decode_numbers(text, count=2, digits=18)
        return cls(file, offset)


START: Final = Cursor(0, 0)


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows as JSON, each with the cursor after it, and how many bytes they have."""

    rows: tuple[tuple[Cursor, bytes], ...]
    has_next: bool
    size_bytes: int


def read_page(
    blobs: BlobStore,
    manifest: Manifest,
    *,
    first: int,
    after: Cursor = START,
    limit_bytes: int = PAGE_BYTES,
) -> RowPage:
    """Read rows of a result, in the order of its files.

    Args:
        blobs: Where the result is.
        manifest: The job's manifest.
        first: How many rows at most.
        after: Where to begin.
        limit_bytes: How long all rows may be as JSON; the first one may be longer.

    Raises:
        InputError: *after* is no place between two rows.
        NotFoundError: The result has been erased.
    """
    rows: list[tuple[Cursor, bytes]] = []
    size_bytes = 0
    for cursor, line in _lines_from(blobs, manifest, after):
        if len(rows) == first or (rows and size_bytes + len(line) > limit_bytes):
            return RowPage(rows=tuple(rows), has_next=True, size_bytes=size_bytes)
        size_bytes += len(line)
        rows.append((cursor, line))
    return RowPage(rows=tuple(rows), has_next=False, size_bytes=size_bytes)


def read_all(blobs: BlobStore, manifest: Manifest) -> Iterator[Any]:
    """Yield every row of a result."""
    for file in manifest.files:
        for _, line in read_rows(blobs, file):
            yield decode(line)


def inline_rows(blobs: BlobStore, manifest: Manifest, *, limit_bytes: int) -> str | None:
    """Return all rows as one JSON array; None when that is too long, or nested too deep."""
    least_bytes = 2 * manifest.rows
    if least_bytes > limit_bytes:
        return None
    is_text = all(format_of(file.name) is DataFormat.JSONL for file in manifest.files)
    # A line feed becomes a comma, and brackets are about as long as the last one.
    if is_text and manifest.size_bytes > limit_bytes:
        return None
    lines: list[bytes] = []
    size_bytes = 0
    for _, line in _lines_from(blobs, manifest, START):
        size_bytes += len(line) + 1
        if size_bytes > limit_bytes:
            return None
        lines.append(line)
    text = b"[" + b",".join(lines) + b"]"
    return text.decode() if is_encodable(text) else None


def _lines_from(
    blobs: BlobStore, manifest: Manifest, after: Cursor
) -> Iterator[tuple[Cursor, bytes]]:
    for index in range(after.file, len(manifest.files)):
        start = after.offset if index == after.file else 0
        for offset, line in read_rows(blobs, manifest.files[index], start=start):
            yield Cursor(index, offset), line
