"""JSON: an item is an element of an array inside a document.

``itemsPointer`` (RFC 6901) says which array. Without it, it is the document itself, and a document
that is no array is one item; where there is no document, there are no items. It is read once, from
start to end, in bounded memory; what lies outside of the array is looked at for its brackets and
quotes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from engine.batch import FilePlace, FileSlice
from engine.errors import RecordError
from engine.source.chunk import Chunk
from engine.source.content import open_content
from engine.source.json_scan import JsonScanner, separators
from engine.source.sources import Sources


@dataclass(frozen=True)
class JsonReader:
    """Reads JSON documents.

    Attributes:
        sources: Where the files are.
        pointer: To the array of items; None for the document itself.
    """

    sources: Sources
    pointer: str | None

    def records(self, part: FileSlice) -> Iterator[ElementRecords]:
        """Yield the items of a document."""
        with open_content(part, self.sources) as content:
            scanner = JsonScanner(content)
            if not scanner.next_byte():
                return
            for token in _tokens(self.pointer):
                if not scanner.enter(token):
                    raise _leads_nowhere(content.name, self.pointer, token)
            if scanner.next_byte() == b"[":
                for chunk in scanner.elements():
                    yield ElementRecords(chunk)
            elif self.pointer:
                raise RecordError(
                    f"{content.name}: itemsPointer {self.pointer!r} leads to no array, "
                    f"at byte {scanner.offset}"
                )
            else:
                yield ElementRecords(scanner.value())
            scanner.finish()


@dataclass(frozen=True)
class ElementRecords:
    """Some consecutive elements of an array.

    Attributes:
        chunk: The elements with the commas between them.
    """

    chunk: Chunk

    def items(self) -> list[Any]:
        """Return the elements.

        Raises:
            RecordError: One is not JSON.
        """
        try:
            items: list[Any] = orjson.loads(b"[%b]" % self.chunk.data)
        except orjson.JSONDecodeError as exc:
            raise self._invalid() from exc
        return items

    def place_of(self, index: int) -> FilePlace:
        """Return the first byte of an element."""
        return FilePlace(self.chunk.name, self._elements[index][0])

    @cached_property
    def _elements(self) -> list[tuple[int, bytes]]:
        """Each element with its offset."""
        data = self.chunk.data
        commas = separators(data)
        bounds = zip([0, *(comma + 1 for comma in commas)], [*commas, len(data)], strict=True)
        elements = ((start, data[start:end]) for start, end in bounds)
        return [
            (self.chunk.start + start + len(element) - len(element.lstrip()), element)
            for start, element in elements
        ]

    def _invalid(self) -> RecordError:
        """Find the element that is not JSON and say where it is; off the fast path."""
        for offset, element in self._elements:
            try:
                orjson.loads(element)
            except orjson.JSONDecodeError as exc:
                reason = exc.msg if element.strip() else "there is no value"
                return RecordError(
                    f"{self.chunk.name}: the record at byte {offset} is not JSON: {reason}"
                )
        return RecordError(f"{self.chunk.name}: at byte {self.chunk.start}: is not JSON")


def _tokens(pointer: str | None) -> list[str]:
    if not pointer:
        return []
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _leads_nowhere(name: str, pointer: str | None, token: str) -> RecordError:
    return RecordError(f"{name}: itemsPointer {pointer!r} leads nowhere: there is no {token!r}")
