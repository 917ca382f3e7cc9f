"""The columns of result rows, and the lines of JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

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


def columns_of(seen: Iterable[tuple[str, type]]) -> Columns:
    """Return the columns of rows in which these names were seen with values of these types."""
    return merge_columns((name, _type_name(kind)) for name, kind in seen)


def merge_columns(found: Iterable[tuple[str, str]]) -> Columns:
    """Give each column one type: the only one seen, ``number`` for numbers, else ``json``.

    Types are those of JSON, and of a query's result also ``date``, ``time``, ``timestamp`` and
    ``binary``, which are strings in JSON (``engine/output/json_sql.py``).
    """
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
