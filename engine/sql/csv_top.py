"""What stands at the top of a CSV file: blank lines, then its first row."""

from __future__ import annotations

import re
from typing import BinaryIO, Final

from engine.source.chunk import BOM, MAX_RECORD_BYTES, Chunk
from engine.source.csv_mask import first_record_end
from engine.source.csv_rows import read_columns
from engine.spec import CsvSpec

_HEAD_BYTES: Final = 64 * 1024
_LINE_END: Final = re.compile(rb"\r\n?|\n")


def first_row(stream: BinaryIO, csv: CsvSpec, name: str) -> tuple[str, ...]:
    """Return the names of the columns, as the first row of a CSV file has them.

    Raises:
        RecordError: The row is not UTF-8, or has a name twice.
    """
    return read_columns(Chunk(name, 0, _first_record(stream, csv)), csv)


def blank_lines_before(path: str) -> int:
    """Return how many lines of a CSV file come before its first row."""
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES).removeprefix(BOM)
    return len(_LINE_END.findall(head, 0, len(head) - len(head.lstrip(b"\r\n"))))


def _first_record(stream: BinaryIO, csv: CsvSpec) -> bytes:
    head = stream.read(_HEAD_BYTES).removeprefix(BOM)
    while (end := first_record_end(head, csv.delimiter)) is None:
        block = stream.read(_HEAD_BYTES)
        head += block
        if not block or len(head) > MAX_RECORD_BYTES:
            break
    return head[:end]
