"""The beginning of a file: whether any record is in it.

A file without a byte, or of blank lines alone, is an ordinary thing to find among logs and the
parts that others have written: it adds no items, whatever its format. So does CSV with a header
and nothing after it, but that names columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.source.chunk import BOM, MAX_RECORD_BYTES
from engine.source.compression import Readable
from engine.source.csv_mask import first_record_end
from engine.spec import CsvSpec, DataFormat

_LINE_ENDS: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """What a file begins with.

    Attributes:
        data: Whole lines, one with a record among them where there is one.
        is_blank: Whether there is nothing in them but line ends, and a mark of the byte order.
        has_records: Whether there is a record in them; the header of CSV is none.
        is_all: Whether the file ends there.
    """

    data: bytes
    is_blank: bool
    has_records: bool
    is_all: bool


def read_head(stream: Readable, format: DataFormat, csv: CsvSpec, *, step_bytes: int) -> Head:
    """Read a file of lines from its beginning until there is a record, at most about 16 MiB.

    Args:
        stream: The content, unpacked.
        format: TEXT, CSV or JSONL.
        csv: How CSV is laid out.
        step_bytes: How much is read at once.
    """
    data = b""
    while len(data) < MAX_RECORD_BYTES:
        block = stream.read(max(step_bytes, len(data)))
        if not block:
            return _head(data, format, csv, is_all=True)
        data += block
        if end := data.rfind(b"\n") + 1:
            found = _head(data[:end], format, csv, is_all=False)
            if found.has_records:
                return found
    return _head(data, format, csv, is_all=False)


def _head(data: bytes, format: DataFormat, csv: CsvSpec, *, is_all: bool) -> Head:
    rest = data.removeprefix(BOM)
    # A line of spaces is a field in CSV, and a line in text.
    content = rest.strip() if format is DataFormat.JSONL else rest.strip(_LINE_ENDS)
    has_records = bool(content)
    if content and format is DataFormat.CSV and csv.header:
        end = first_record_end(rest, csv.delimiter)
        has_records = end is not None and bool(rest[end:].strip(_LINE_ENDS))
    return Head(data, is_blank=not content, has_records=has_records, is_all=is_all)
