"""Keys and values as Arrow columns, and back.

A column is typed where all its keys (or values) are strings, 64-bit integers or (values only)
finite floats, which sorts and decodes at the speed of C; anything else is canonical JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from engine.jsonvalue import decode, encode, encode_key

DECODED_PAIRS: Final = 65_536
_KEYS: Final = {str: pa.utf8(), int: pa.int64()}
_VALUES: Final = {**_KEYS, float: pa.float64()}


def key_column(keys: Sequence[Any]) -> pa.Array:
    """Return a column of *keys*; bytes among them are canonical JSON already."""
    typed = _typed(keys, _KEYS)
    if typed is not None:
        return typed
    return pa.array([k if type(k) is bytes else encode_key(k) for k in keys], pa.binary())


def value_column(values: Sequence[Any]) -> pa.Array:
    """Return a column of *values*; bytes among them are JSON already.

    Raises:
        OutputError: JSON cannot hold one.
    """
    typed = _typed(values, _VALUES)
    if typed is not None:
        return typed
    return pa.array([v if type(v) is bytes else encode(v) for v in values], pa.binary())


def joined(columns: list[pa.ChunkedArray]) -> pa.Array:
    """Return all *columns* in one: of their type, or as JSON where they have several."""
    if len({column.type for column in columns}) > 1:
        columns = [_as_json(column) for column in columns]
    return pa.concat_arrays(chunk for column in columns for chunk in column.chunks)


def narrowed(keys: pa.Array) -> pa.Array:
    """Return *keys* in the type that they have when nothing else was in their batches.

    So that their order does not depend on what else was mapped together with them.
    """
    if keys.type != pa.binary():
        return keys
    typed = _typed(decoded(keys), _KEYS)
    return keys if typed is None else typed


def as_type(keys: pa.ChunkedArray, key_type: pa.DataType) -> pa.ChunkedArray:
    """Return *keys* in the type that they have together with all others."""
    if keys.type == key_type:
        return keys
    if key_type == pa.binary():
        return _as_json(keys)
    return pa.chunked_array([narrowed(chunk) for chunk in keys.chunks if len(chunk)], key_type)


def decoded(column: pa.Array) -> list[Any]:
    """Return what *column* holds as Python objects."""
    if column.type == pa.binary():
        return [decode(item) for item in column.to_pylist()]
    if column.type == pa.utf8():
        return list(column.to_pylist())
    return list(column.to_numpy().tolist())


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type == pa.binary():
        return column
    return pa.chunked_array([pa.array(map(encode_key, column.to_pylist()), pa.binary())])


def _typed(items: Sequence[Any], types: dict[type, pa.DataType]) -> pa.Array | None:
    """Return a typed column if all *items* are of one of *types* and fit, else None."""
    kinds = set(map(type, items))
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind not in types or (kind is float and not all(map(math.isfinite, items))):
        return None
    try:
        return pa.array(items, types[kind])
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        return None
