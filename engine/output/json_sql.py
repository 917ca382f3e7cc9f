"""SQL expressions that turn a column of any DuckDB type into what a result file holds.

JSON and CSV get what JSON can say: NaN and infinity become null, instants are ISO 8601 (with a
time zone: in UTC, with ``Z``), binary data is base64, and what has no twin is DuckDB's text.
Parquet keeps types of its own; only those that it has not become text, and whole numbers of 128
bits become DECIMAL(38, 0).

A type of a result's column is one of string, integer, number, boolean, object, array, json, null,
date, time, timestamp and binary; the last four are strings in JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from duckdb.sqltypes import DuckDBPyType

_INTEGERS: Final = frozenset(
    "tinyint smallint integer bigint hugeint utinyint usmallint uinteger ubigint uhugeint".split()
)
_TYPE_NAMES: Final = {
    **dict.fromkeys(_INTEGERS, "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("list", "array"), "array"),
    **dict.fromkeys(("struct", "map"), "object"),
    "boolean": "boolean",
    "null": "null",
    "date": "date",
    "time": "time",
    "blob": "binary",
    "varchar": "string",
    "enum": "string",
}
_PLAIN: Final = frozenset({*_INTEGERS, "decimal", "boolean", "null", "varchar", "enum"})

Leaf = Callable[[str, str], str]


def type_name(kind: DuckDBPyType) -> str:
    """Return the name of a column's type."""
    if str(kind) == "JSON":
        return "json"
    if _is_instant(kind.id):
        return "timestamp"
    return _TYPE_NAMES.get(kind.id, "string")


def json_value(column: str, kind: DuckDBPyType) -> str:
    """Return *column* as what JSON holds."""
    return _each(column, kind, _json_leaf)


def csv_value(column: str, kind: DuckDBPyType) -> str:
    """Return *column* as text of one field: as in JSON, nested values as JSON."""
    value = json_value(column, kind)
    if type_name(kind) in ("object", "array"):
        return f"to_json({value})::VARCHAR"
    return value


def parquet_value(column: str, kind: DuckDBPyType) -> str:
    """Return *column* as what Parquet holds."""
    return _each(column, kind, _parquet_leaf)


def _is_instant(id: str) -> bool:
    return id.startswith("timestamp")


def _json_leaf(value: str, id: str) -> str:
    if id in _PLAIN:
        return value
    if id == "double":
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    if id == "float":
        # By way of its text, 0.1 stays 0.1 when it is widened.
        return f"CASE WHEN isfinite({value}) THEN {value}::VARCHAR::DOUBLE END"
    if id == "date":
        return f"CASE WHEN isfinite({value}) THEN {value}::VARCHAR END"
    if id == "timestamp with time zone":
        text = f"replace(make_timestamp(epoch_us({value}))::VARCHAR, ' ', 'T') || 'Z'"
        return f"CASE WHEN isfinite({value}) THEN {text} END"
    if _is_instant(id):
        text = f"replace({value}::VARCHAR, ' ', 'T')"
        return f"CASE WHEN isfinite({value}::TIMESTAMP) THEN {text} END"
    if id == "blob":
        return f"to_base64({value})"
    return f"{value}::VARCHAR"


def _parquet_leaf(value: str, id: str) -> str:
    if id in ("hugeint", "uhugeint"):
        return f"{value}::DECIMAL(38, 0)"
    if id in _PLAIN or id in ("float", "double", "time", "blob"):
        return value
    if id == "date" or _is_instant(id):
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    return f"{value}::VARCHAR"


def _each(value: str, kind: DuckDBPyType, leaf: Leaf, depth: int = 0) -> str:
    """Apply *leaf* to every value within *value*; values that need nothing stay as they are."""
    if kind.id in ("list", "array"):
        name, part = f"v{depth}", _children(kind)["child"]
        if kind.id == "array":
            # Written as an array, a null is one that other readers of Parquet trip over.
            value = f"{value}::{part}[]"
        inner = _each(name, part, leaf, depth + 1)
        return value if inner == name else f"list_transform({value}, lambda {name}: {inner})"
    if kind.id == "struct":
        parts = _children(kind)
        fields = {name: f"struct_extract({value}, {_literal(name)})" for name in parts}
        inners = {name: _each(fields[name], part, leaf, depth) for name, part in parts.items()}
        if inners == fields:
            return value
        packed = ", ".join(f"{identifier(name)} := {inner}" for name, inner in inners.items())
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({packed}) END"
    if kind.id == "map":
        entry = f"v{depth}"
        parts = _children(kind)
        key = _each(f"{entry}.key", parts["key"], leaf, depth + 1)
        inner = _each(f"{entry}.value", parts["value"], leaf, depth + 1)
        if (key, inner) == (f"{entry}.key", f"{entry}.value"):
            return value
        pair = f"{{'key': {key}, 'value': {inner}}}"
        return f"map_from_entries(list_transform(map_entries({value}), lambda {entry}: {pair}))"
    return leaf(value, kind.id)


def _children(kind: DuckDBPyType) -> dict[str, DuckDBPyType]:
    # An array also has a child "size", which is no type.
    return {name: part for name, part in kind.children if isinstance(part, DuckDBPyType)}


def identifier(name: str) -> str:
    """Return *name* as a quoted name of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
