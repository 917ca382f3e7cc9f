"""Turns rows of Arrow into dicts whose values are what JSON has."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import compute, types

_compute: Any = compute  # its functions are made when it is imported; no checker sees them


def json_rows(rows: Any) -> list[dict[str, Any]]:
    """Return the rows of a record batch.

    Raises:
        pyarrow.ArrowException: A value cannot be shown.
        ValueError: A nested timestamp has nanoseconds.
    """
    names = rows.schema.names
    columns = [_as_text(column) for column in rows.columns]
    dicts: list[dict[str, Any]] = pa.RecordBatch.from_arrays(columns, names=names).to_pylist()
    for name, column in zip(names, columns, strict=True):
        if types.is_nested(column.type) or _is_binary(column.type):
            for row in dicts:
                row[name] = _as_json(row[name])
    return dicts


def _as_text(column: Any) -> Any:
    """Return a column with every value that Arrow itself can make fit for JSON made so."""
    kind = column.type
    if types.is_dictionary(kind):
        return _as_text(column.dictionary_decode())
    if types.is_floating(kind):
        wide = column.cast(pa.float64())
        return _compute.if_else(_compute.is_finite(wide), wide, pa.scalar(None, pa.float64()))
    if types.is_timestamp(kind):
        return _instants(column)
    if types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.string())
    if types.is_time(kind):
        return _without_zeros(column.cast(pa.string()))
    if types.is_decimal(kind):
        return column.cast(pa.string())
    if types.is_duration(kind):
        return column.cast(pa.int64())
    return column


def _instants(column: Any) -> Any:
    kind = column.type
    if kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    text = column.cast(pa.timestamp(kind.unit)).cast(pa.string())
    iso = _without_zeros(_compute.replace_substring(text, " ", "T"))
    return iso if kind.tz is None else _compute.binary_join_element_wise(iso, "Z", "")


def _without_zeros(texts: Any) -> Any:
    """Leave out a fraction of a second that is nothing."""
    return _compute.replace_substring_regex(texts, r"\.0+$", "")


def _is_binary(kind: Any) -> bool:
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _as_json(value: Any) -> Any:
    """Return one Python value, with all that is in it, as JSON has it."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return b64encode(value).decode()
        case Mapping():
            return {str(key): _as_json(inner) for key, inner in value.items()}
        case list():
            return _list_as_json(value)
        case tuple():
            return [_as_json(inner) for inner in value]
        case datetime():
            return _datetime_as_json(value)
        case date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case timedelta():
            return value // timedelta(microseconds=1)
        case _:
            return value


def _list_as_json(values: list[Any]) -> Any:
    """Return a list; or an object for what Arrow gives for a map, pairs with names."""
    if values and all(isinstance(pair, tuple) and isinstance(pair[0], str) for pair in values):
        return {key: _as_json(inner) for key, inner in values}
    return [_as_json(value) for value in values]


def _datetime_as_json(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
