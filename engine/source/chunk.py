"""A chunk: a part of a file that holds whole records, and what holds for every format."""

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
        start: Offset of ``data`` in the file or, if it is compressed, in what it unpacks to.
        data: The records; the last one may lack its line end.
    """

    name: str
    start: int
    data: bytes

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


def too_long(name: str, offset: int, at_least_bytes: int) -> RecordError:
    """Return the error for a record that exceeds the limit."""
    return RecordError(
        f"{name}: the record at byte {offset} has at least {at_least_bytes} bytes, "
        f"the limit is {MAX_RECORD_BYTES}"
    )
