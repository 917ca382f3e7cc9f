"""Walks a JSON document as a stream: into an array, over its elements, to its end.

Brackets outside of strings are counted for a whole block at once. What is passed over is not
parsed; what is handed out is cut at commas, and is parsed by whoever takes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from engine.errors import RecordError
from engine.source.chunk import BOM, MAX_RECORD_BYTES, Chunk, too_long
from engine.source.content import Content
from engine.source.records import BLOCK_BYTES

_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_PLAIN: Final = re.compile(rb"[^\s,:\[\]{}\"]*")
_QUOTED: Final = 1 << 30  # the depth of what is within a string: none that is looked for
_STEP: Final = np.zeros(256, dtype=np.int32)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1

Depths = npt.NDArray[np.int32]


class DepthCounter:
    """Follows the brackets of one document, block by block."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._is_quoted = False

    def depths(self, block: bytes) -> Depths:
        """Return how many brackets are open after each byte; a huge number within strings.

        Blocks are passed in order, none of them ending between a backslash and what it escapes.
        """
        if b"\\" in block:
            block = _ESCAPE.sub(b"  ", block)
        data = np.frombuffer(block, dtype=np.uint8)
        quotes = np.cumsum(data == ord('"'), dtype=np.int32)
        if self._is_quoted:
            quotes += 1
        quoted = (quotes & 1).astype(np.bool_)
        steps = _STEP[data]
        steps[quoted] = 0
        depths: Depths = np.cumsum(steps, dtype=np.int32)
        depths += self._depth
        self._depth = int(depths[-1])
        self._is_quoted = bool(quoted[-1])
        depths[quoted] = _QUOTED
        return depths


def separators(data: bytes) -> list[int]:
    """Return where the commas between the elements of *data* are, which stands in an array."""
    return _commas(data, DepthCounter().depths(data), depth=0) if data else []


def _commas(data: bytes, depths: Depths, *, depth: int) -> list[int]:
    is_comma = np.frombuffer(data, dtype=np.uint8) == ord(",")
    found: list[int] = np.flatnonzero(is_comma & (depths == depth)).tolist()
    return found


class JsonScanner:
    """A place in a document, which only moves forward."""

    def __init__(self, content: Content) -> None:
        self._name = content.name
        self._stream = content.stream
        self._block = self._read()
        self._base = content.start  # offset of the block
        self._position = len(BOM) if self._block.startswith(BOM) else 0  # within the block
        self._entered = 0  # containers around the place

    @property
    def offset(self) -> int:
        """Where the place is in the document."""
        return self._base + self._position

    def next_byte(self) -> bytes:
        """Go on to what is not blank, and return its first byte; empty at the end."""
        while True:
            match = _BLANK.match(self._block, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._block) or not self._advance():
                return self._block[self._position : self._position + 1]

    def enter(self, token: str) -> bool:
        """Go into the container at this place, to the value of a name or number.

        Returns:
            Whether there is such a value.

        Raises:
            RecordError: What was looked at is not JSON.
        """
        opening = self.next_byte()
        if opening not in (b"{", b"["):
            return False
        if opening == b"[" and not re.fullmatch(r"0|[1-9][0-9]{0,17}", token):
            return False
        self._position += 1
        self._entered += 1
        closing = b"}" if opening == b"{" else b"]"
        number = 0
        while self.next_byte() != closing:
            if self._name_of_value(number, is_object=opening == b"{") == token:
                return True
            self._skip_value()
            number += 1
            following = self.next_byte()
            if following == b",":
                self._position += 1
            elif following != closing:
                raise self._invalid(f"expected ',' or '{closing.decode()}'")
        return False

    def elements(self) -> Iterator[Chunk]:
        """Yield the elements of the array at this place, and go on to after it.

        Raises:
            RecordError: An element is longer than 16 MiB, or the array does not end.
        """
        opened = self.offset
        self._position += 1
        counter = DepthCounter(1)
        parts: list[bytes] = []
        start, size = self.offset, 0
        is_first = True
        while True:
            block = self._rest()
            if not block:
                raise RecordError(
                    f"{self._name}: the array at byte {opened} does not end: "
                    "the document is cut short"
                )
            depths = counter.depths(block)
            ends = np.flatnonzero(depths == 0)
            end = int(ends[0]) if len(ends) else len(block)
            commas = _commas(block[:end], depths[:end], depth=1)
            first = commas[0] if commas else end
            if size + first > MAX_RECORD_BYTES:
                raise too_long(self._name, start, size + first)
            if len(ends) or commas:
                cut = end if len(ends) else commas[-1]
                data = b"".join((*parts, block[:cut]))
                is_blank = not data.strip()
                if is_blank and not (is_first and len(ends)):
                    raise self._invalid("there is no value", offset=start)
                if not is_blank:
                    yield Chunk(self._name, start, data)
                is_first = False
                if len(ends):
                    self._position += end
                    self._close_array(opened)
                    return
                start += len(data) + 1
                parts, size = [block[cut + 1 :]], len(block) - cut - 1
            else:
                parts.append(block)
                size += len(block)
            self._position = len(self._block)

    def value(self) -> Chunk:
        """Return the value at this place, and go on to after it.

        Raises:
            RecordError: There is none, it does not end, or it is longer than 16 MiB.
        """
        if not self.next_byte():
            raise self._invalid("there is no value")
        start = self.offset
        return Chunk(self._name, start, self._skip_value(keeps=True))

    def finish(self) -> None:
        """Check that nothing but the ends of what was entered follows.

        Raises:
            RecordError: The document is cut short, or goes on after its end.
        """
        counter = DepthCounter(self._entered)
        depth = self._entered
        while depth and (block := self._rest()):
            depths = counter.depths(block)
            ends = np.flatnonzero(depths == 0)
            depth = 0 if len(ends) else self._entered
            self._position += int(ends[0]) + 1 if depth == 0 else len(block)
        if depth:
            raise RecordError(f"{self._name}: the document is cut short at byte {self.offset}")
        if self.next_byte():
            raise self._invalid(
                "the document has ended before; where each line is a value, the format is JSONL"
            )

    def _name_of_value(self, number: int, *, is_object: bool) -> str:
        """Go on to the next value of a container, and return its name or number."""
        if not is_object:
            return str(number)
        if self.next_byte() != b'"':
            raise self._invalid("expected a name in quotes")
        quoted = self._string()
        if self.next_byte() != b":":
            raise self._invalid("expected ':'")
        self._position += 1
        try:
            name: str = orjson.loads(quoted)
        except orjson.JSONDecodeError as exc:
            raise self._invalid(exc.msg) from exc
        return name

    def _skip_value(self, *, keeps: bool = False) -> bytes:
        """Go on to after the value at this place; return it if it is to be kept."""
        opening = self.next_byte()
        if opening == b'"':
            return self._string()
        if opening not in (b"{", b"["):
            return self._plain()
        start = self.offset
        counter = DepthCounter()
        kept: list[bytes] = []
        while block := self._rest():
            ends = np.flatnonzero(counter.depths(block) == 0)
            length = int(ends[0]) + 1 if len(ends) else len(block)
            self._position += length
            if keeps:
                kept.append(block[:length])
                if self.offset - start > MAX_RECORD_BYTES:
                    raise too_long(self._name, start, self.offset - start)
            if len(ends):
                return b"".join(kept)
        raise RecordError(
            f"{self._name}: the value at byte {start} does not end: the document is cut short"
        )

    def _string(self) -> bytes:
        while not (found := _STRING.match(self._block, self._position)):
            self._grow("string")
        self._position = found.end()
        return found[0]

    def _plain(self) -> bytes:
        """Go over a number, true, false or null."""
        while True:
            found = _PLAIN.match(self._block, self._position)
            end = found.end() if found else self._position
            if end < len(self._block) or not self._extend():
                break
        if end == self._position:
            raise self._invalid("there is no value")
        value = self._block[self._position : end]
        self._position = end
        return value

    def _close_array(self, opened: int) -> None:
        if self._block[self._position : self._position + 1] != b"]":
            raise self._invalid(f"expected the end of the array that begins at byte {opened}")
        self._position += 1

    def _rest(self) -> bytes:
        """Return what is left of the block, or the next one."""
        if self._position == len(self._block):
            self._advance()
        return self._block[self._position :]

    def _advance(self) -> bool:
        self._base += len(self._block)
        self._block, self._position = self._read(), 0
        return bool(self._block)

    def _grow(self, what: str) -> None:
        """Read on while the place stays, for a token that goes over the block's end."""
        start, length = self.offset, len(self._block) - self._position
        if length > MAX_RECORD_BYTES:
            raise too_long(self._name, start, length)
        if not self._extend():
            raise RecordError(
                f"{self._name}: the {what} at byte {start} does not end: the document is cut short"
            )

    def _extend(self) -> bool:
        more = self._read()
        self._base += self._position
        self._block = self._block[self._position :] + more
        self._position = 0
        return bool(more)

    def _read(self) -> bytes:
        """Read a block that does not end within an escape."""
        block = self._stream.read(BLOCK_BYTES)
        if (len(block) - len(block.rstrip(b"\\"))) % 2:
            block += self._stream.read(1)
        return block

    def _invalid(self, reason: str, *, offset: int | None = None) -> RecordError:
        place = self.offset if offset is None else offset
        return RecordError(f"{self._name}: at byte {place}: is not JSON: {reason}")
