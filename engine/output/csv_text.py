"""Rows as CSV and back: RFC 4180 with a header, line feeds, and null told from empty text.

A field without a character is null, ``""`` is empty text. Nested values and values of mixed types
are JSON. DuckDB writes the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.blobs import BlobStore
from engine.errors import InputError, Issue, UnavailableError
from engine.jsonvalue import decode_exactly, encode
from engine.rows import Columns

READ_AHEAD_BYTES: Final = 256 * 1024

_FIELD: Final = re.compile(rb'(?:"((?:[^"]|"")*+)"|([^",\r\n]*+))(,|\r?\n)')
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]')
_AS_TEXT: Final = frozenset({"string", "date", "time", "timestamp", "binary"})


def csv_line(values: Sequence[Any], kinds: Sequence[str]) -> bytes:
    """Return one row; *kinds* are the types of its columns."""
    fields = map(_field, values, kinds)
    return (",".join(fields) + "\n").encode()


def csv_header(columns: Columns) -> bytes:
    """Return the line with the names of the columns."""
    return csv_line([name for name, _ in columns], ["string"] * len(columns))


def read_csv(
    blobs: BlobStore, name: str, size_bytes: int, columns: Columns, start: int
) -> Iterator[tuple[int, bytes]]:
    """Yield rows as JSON, each with the byte offset after it.

    Args:
        blobs: Where the file is.
        name: The blob.
        size_bytes: Its length.
        columns: What the fields are called, and what they hold.
        start: Where a record begins; 0 begins at the first row after the header.

    Raises:
        InputError: No record begins there.
        UnavailableError: The file is shorter than it should be.
    """
    if start and blobs.read(name, start=start - 1, end=start) != b"\n":
        raise _bad_cursor()
    records = _records(blobs, name, size_bytes, start)
    if start == 0:
        next(records, None)
    for end, fields in records:
        if len(fields) != max(1, len(columns)):
            raise _bad_cursor()
        try:
            row = {
                column: _value(field, kind)
                for (column, kind), field in zip(columns, fields, strict=False)
            }
        except ValueError:
            raise _bad_cursor() from None
        yield end, encode(row)


def _records(
    blobs: BlobStore, name: str, size_bytes: int, offset: int
) -> Iterator[tuple[int, list[bytes | None]]]:
    """Yield the fields of each record; None stands for a field without a character."""
    rest, ahead = b"", READ_AHEAD_BYTES
    while offset < size_bytes:
        block = blobs.read(name, start=offset, end=offset + ahead)
        if not block:
            raise UnavailableError(f"blob {name}: ends at byte {offset}, not {size_bytes}")
        data = rest + block
        base = offset - len(rest)
        offset += len(block)
        whole = end = 0
        fields: list[bytes | None] = []
        while field := _FIELD.match(data, end):
            end = field.end()
            quoted, plain, stop = field.groups()
            fields.append(plain or None if quoted is None else quoted.replace(b'""', b'"'))
            if stop != b",":
                yield base + end, fields
                whole, fields = end, []
        rest = data[whole:]
        # A record longer than what is read at once is scanned anew, so ever more is read.
        ahead = READ_AHEAD_BYTES if whole else 2 * len(data)
    if rest:
        raise _bad_cursor()


def _field(value: Any, kind: str) -> str:
    if value is None:
        return ""
    text: str = value if kind in _AS_TEXT else encode(value).decode()
    if text == "" or _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _value(field: bytes | None, kind: str) -> Any:
    if field is None:
        return None
    return field.decode() if kind in _AS_TEXT else decode_exactly(field)


def _bad_cursor() -> InputError:
    return InputError(Issue(("after",), "is not a cursor of these rows"))
