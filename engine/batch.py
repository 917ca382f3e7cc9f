"""A batch: the input of one map task, as references or as items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.entries import Entries
from engine.spec import DataFormat


class Compression(StrEnum):
    """How a file is compressed; told by its first bytes, never by its name."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A part of a file that holds whole records.

    Attributes:
        path: As in ``SourceFile``.
        start: First byte, the start of a record.
        end: One past the last byte, the end of a record or of the file.
        version: Of the file when it was planned.
        format: Never AUTO: the planner has looked.
        compression: A compressed file is always one slice.
        groups: First and one past the last row group of a Parquet file, the bytes then being
            those of the row groups; None for a whole file.
    """

    path: str
    start: int
    end: int
    version: str = ""
    format: DataFormat = DataFormat.TEXT
    compression: Compression = Compression.NONE
    groups: tuple[int, int] | None = None

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    def place(self, name: str) -> str:
        """Say which part of the file called *name* it is."""
        return f"{name}, bytes {self.start} to {self.end}" if self.start else name

    def to_json(self) -> list[Any]:
        """Return the compact form that ``from_json`` reads."""
        return [
            self.path,
            self.start,
            self.end,
            self.version,
            self.format,
            self.compression,
            *(self.groups or ()),
        ]

    @classmethod
    def from_json(cls, data: list[Any]) -> FileSlice:
        """Read what ``to_json`` wrote."""
        path, start, end, version, format_, compression, *groups = data
        return cls(
            path,
            start,
            end,
            version,
            DataFormat(format_),
            Compression(compression),
            (groups[0], groups[1]) if groups else None,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Either slices of files, in order, or items: inline ones, or the entries of a listing.

    Attributes:
        slices: Parts of files; empty for inline items.
        items: Strings or objects, or the entries of a listing; None for files.
        first_item: Position of the first item in the request or the listing.
    """

    slices: tuple[FileSlice, ...] = ()
    items: Sequence[Any] | None = None
    first_item: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of the slices; 0 for items."""
        return sum(part.size_bytes for part in self.slices)

    @property
    def known_items(self) -> int:
        """Number of items where it is known before reading, else 0."""
        return len(self.items) if self.items is not None else 0

    def place(self, name_of: Callable[[str], str]) -> str:
        """Say where the batch is: where it begins, and where it ends.

        Args:
            name_of: Returns a file as callers know it.
        """
        if self.items is not None:
            ends = sorted({0, len(self.items) - 1}) if self.items else []
            return " to ".join(map(self._place_of_item, ends))
        ends = sorted({0, len(self.slices) - 1}) if self.slices else []
        parts = [self.slices[at] for at in ends]
        return " to ".join(part.place(name_of(part.path)) for part in parts)

    def _place_of_item(self, index: int) -> str:
        if isinstance(self.items, Entries):
            return self.items.uris[index]
        return str(InlinePlace(self.first_item + index))

    def to_json(self) -> dict[str, Any]:
        """Return the compact form that is stored and sent to task processes."""
        if isinstance(self.items, Entries):
            return {"entries": self.items.to_json(), "first": self.first_item}
        if self.items is not None:
            return {"items": list(self.items), "first": self.first_item}
        return {"slices": [part.to_json() for part in self.slices]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Batch:
        """Read what ``to_json`` wrote."""
        if "entries" in data:
            return cls(items=Entries.from_json(data["entries"]), first_item=data["first"])
        if "items" in data:
            return cls(items=tuple(data["items"]), first_item=data["first"])
        return cls(slices=tuple(map(FileSlice.from_json, data["slices"])))


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Where an item of a file begins.

    Attributes:
        name: The file as callers know it.
        offset: Bytes from its start; of what it unpacks to, if it is compressed.
    """

    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.name}, byte {self.offset}"


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Which row of a file an item is, where rows have no bytes of their own.

    Attributes:
        name: The file as callers know it.
        offset: Rows before it.
    """

    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.name}, row {self.offset}"


@dataclass(frozen=True, slots=True)
class InlinePlace:
    """Which of the request's items it is, counted from 0."""

    offset: int

    @property
    def name(self) -> str:
        """The item as callers know it."""
        return f"inline[{self.offset}]"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Which listed file an item is."""

    name: str

    @property
    def offset(self) -> int:
        """Always 0: the item is the whole file."""
        return 0

    def __str__(self) -> str:
        return self.name


Place = FilePlace | RowPlace | ObjectPlace | InlinePlace
