"""A batch: the input of one map task, as references or as inline items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FileSlice:
    """The bytes ``[start, end)`` of one file, which hold whole records only.

    Attributes:
        path: Absolute path of a file below a source root.
        start: First byte, the start of a record.
        end: One past the last byte, the end of a record or of the file.
    """

    path: str
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Batch:
    """Either slices of files, in order, or items that came with the request.

    Attributes:
        slices: Parts of files; empty for inline items.
        items: Inline items, strings or objects; None for files.
        first_item: Position of the first inline item in the request.
    """

    slices: tuple[FileSlice, ...] = ()
    items: tuple[Any, ...] | None = None
    first_item: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of the files; 0 for inline items."""
        return sum(part.size_bytes for part in self.slices)

    @property
    def known_items(self) -> int:
        """Number of items where it is known before reading, else 0."""
        return len(self.items) if self.items is not None else 0

    def to_json(self) -> dict[str, Any]:
        """Return the compact form that is stored and sent to task processes."""
        if self.items is not None:
            return {"items": list(self.items), "first": self.first_item}
        return {"slices": [[part.path, part.start, part.end] for part in self.slices]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Batch:
        """Read what ``to_json`` wrote."""
        if "items" in data:
            return cls(items=tuple(data["items"]), first_item=data["first"])
        return cls(slices=tuple(FileSlice(*part) for part in data["slices"]))


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Where an item of a file begins.

    Attributes:
        name: The file as callers know it.
        offset: Bytes from its start.
    """

    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.name}, byte {self.offset}"


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


Place = FilePlace | InlinePlace
