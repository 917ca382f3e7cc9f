"""Result rows as JSON Lines, with the columns found in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from engine.jsonvalue import encode
from engine.kernel import Row

_TYPE_NAMES: Final[dict[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    tuple: "array",
    type(None): "null",
}
Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows as bytes.

    Attributes:
        data: One JSON object a line.
        rows: Number of lines.
        columns: Names in the order of first sight, with their types.
    """

    data: bytes
    rows: int
    columns: Columns


def encode_rows(rows: Iterable[Row]) -> EncodedRows:
    """Encode rows.

    Raises:
        OutputError: JSON cannot hold one.
    """
    lines: list[bytes] = []
    seen: dict[tuple[str, type], None] = {}
    for row in rows:
        lines.append(encode(row))
        for name, value in row.items():
            seen[name, type(value)] = None
    lines.append(b"")
    columns = merge_columns((name, _type_name(kind)) for name, kind in seen)
    return EncodedRows(data=b"\n".join(lines), rows=len(lines) - 1, columns=columns)


def merge_columns(found: Iterable[tuple[str, str]]) -> Columns:
    """Give each column one type: the only one seen, ``number`` for numbers, else ``json``."""
    types: dict[str, set[str]] = {}
    for name, kind in found:
        types.setdefault(name, set()).add(kind)
    return tuple((name, _common_type(kinds)) for name, kinds in types.items())


def _type_name(kind: type) -> str:
    return next((_TYPE_NAMES[base] for base in kind.__mro__ if base in _TYPE_NAMES), "json")


def _common_type(kinds: set[str]) -> str:
    known = kinds - {"null"}
    if len(known) <= 1:
        return next(iter(known), "null")
    return "number" if known == {"integer", "number"} else "json"


def decode_lines(data: bytes) -> list[bytes]:
    """Cut JSON Lines into lines, without the empty one at the end."""
    return data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n") if data else []


def as_json_array(chunks: Iterable[bytes]) -> str:
    """Join JSON Lines into one JSON array."""
    lines = [line for chunk in chunks for line in decode_lines(chunk)]
    return (b"[" + b",".join(lines) + b"]").decode()
