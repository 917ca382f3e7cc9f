"""Arrow columns as JSON values, such that a Parquet file gives the same rows as JSON and CSV."""

from __future__ import annotations

import base64
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from engine.jsonvalue import decode_exactly, encode


def json_lines(batch: pa.RecordBatch) -> list[bytes]:
    """Return each row of *batch* as JSON."""
    names = batch.schema.names
    columns = [json_values(column) for column in batch.columns]
    return [encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def json_values(array: Any) -> list[Any]:
    """Return the values of an Arrow array as JSON can hold them."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        texts = array.storage.to_pylist()
        if kind.extension_name != "arrow.json":
            return json_values(array.storage)
        return [None if text is None else decode_exactly(text.encode()) for text in texts]
    if pa.types.is_floating(kind):
        return [_finite(value) for value in _exact_floats(array)]
    if pa.types.is_decimal(kind):
        return [_number(value) for value in array.to_pylist()]
    if pa.types.is_timestamp(kind):
        return [_instant(value, with_zone=kind.tz is not None) for value in _texts(array)]
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return [None if value is None else _trimmed(value) for value in _texts(array)]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [
            None if value is None else base64.b64encode(value).decode()
            for value in array.to_pylist()
        ]
    if pa.types.is_struct(kind):
        return _structs(array)
    if pa.types.is_map(kind):
        return _maps(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(array)
    if pa.types.is_dictionary(kind):
        return json_values(array.dictionary_decode())
    if _is_plain(kind):
        values: list[Any] = array.to_pylist()
        return values
    return _texts(array)


def _is_plain(kind: Any) -> bool:
    return any(
        test(kind)
        for test in (
            pa.types.is_integer,
            pa.types.is_boolean,
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_null,
        )
    )


def _texts(array: Any) -> list[Any]:
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        array = array.cast(pa.timestamp(array.type.unit))
    texts: list[Any] = pc.cast(array, pa.string()).to_pylist()
    return texts


def _exact_floats(array: Any) -> list[Any]:
    if pa.types.is_float64(array.type):
        values: list[Any] = array.to_pylist()
        return values
    # The shortest text of a narrow float is the number that was meant.
    return [None if text is None else float(text) for text in _texts(array)]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _number(value: Decimal | None) -> Any:
    """Return a decimal as a number, with all of its digits."""
    if value is None:
        return None
    digits = format(value, "f")
    return decode_exactly(digits.encode())


def _instant(text: str | None, *, with_zone: bool) -> str | None:
    if text is None:
        return None
    return _trimmed(text.replace(" ", "T", 1)) + ("Z" if with_zone else "")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _structs(array: Any) -> list[Any]:
    names = [array.type.field(index).name for index in range(array.type.num_fields)]
    fields = [json_values(field) for field in array.flatten()]
    valid = array.is_valid().to_pylist()
    rows = zip(*fields, strict=True) if fields else (() for _ in valid)
    return [
        dict(zip(names, row, strict=True)) if is_valid else None
        for is_valid, row in zip(valid, rows, strict=True)
    ]


def _lists(array: Any) -> list[Any]:
    values = json_values(array.flatten())
    found: list[list[Any] | None] = []
    start = 0
    for length in pc.call_function("list_value_length", [array]).to_pylist():
        if length is None:
            found.append(None)
            continue
        found.append(values[start : start + length])
        start += length
    return found


def _maps(array: Any) -> list[Any]:
    entry = pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])
    pairs = _lists(array.cast(pa.list_(entry)))
    return [
        None if some is None else {_key(pair["key"]): pair["value"] for pair in some}
        for some in pairs
    ]


def _key(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()
