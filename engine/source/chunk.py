"""A chunk: the content of a file slice, and what holds for records of every format."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from engine.errors import RecordError

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
BOM: Final = codecs.BOM_UTF8


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records of one file, as bytes.

    Attributes:
        name: The file as callers know it, for messages.
        start: Offset of ``data`` in the file.
        data: The records; the last one may lack its line end.
    """

    name: str
    start: int
    data: bytes

    def without_bom(self) -> Chunk:
        """Return the chunk without the byte order mark that a file may begin with."""
        if self.start > 0 or not self.data.startswith(BOM):
            return self
        return Chunk(self.name, len(BOM), self.data[len(BOM) :])

    def text(self) -> str:
        """Return the content as text.

        Raises:
            RecordError: It is not UTF-8.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError as exc:
            raise RecordError(
                f"{self.name}: byte 0x{self.data[exc.start]:02x} at offset "
                f"{self.start + exc.start} is not UTF-8"
            ) from exc

    def check_lines(self) -> None:
        """Check that no line is longer than a record may be.

        Hops from one line end to the last one within the limit, so it looks at few of the bytes.

        Raises:
            RecordError: A line is too long.
        """
        position = 0
        while len(self.data) - position > MAX_RECORD_BYTES:
            end = self.data.rfind(b"\n", position, position + MAX_RECORD_BYTES + 1)
            if end < 0:
                raise too_long(self.name, self.start + position, MAX_RECORD_BYTES + 1)
            position = end + 1


def too_long(name: str, offset: int, at_least_bytes: int) -> RecordError:
    """Return the error for a record that exceeds the limit."""
    return RecordError(
        f"{name}: the record at byte {offset} has at least {at_least_bytes} bytes, "
        f"the limit is {MAX_RECORD_BYTES}"
    )
