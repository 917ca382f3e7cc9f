"""Rows of a program as Parquet: scalars as such, nested and mixed values as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.jsonvalue import decode, encode
from engine.output.spool import Spool

ROW_GROUP_ROWS: Final = 100_000
ROW_GROUP_BYTES: Final = 16 * 1024 * 1024

_MAX_INT64: Final = 2**63 - 1
_NINETEEN_DIGITS: Final = re.compile(rb"[0-9]{19}")
_TYPES: Final = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "null": pa.null(),
}
_WIDE_INTEGER: Final = pa.decimal128(20, 0)


def write_parquet(spool: Spool, path: Path) -> None:
    """Write the spool's rows to *path*."""
    wide = _wide_columns(spool)
    schema = pa.schema(
        [
            (name, _WIDE_INTEGER if name in wide else _TYPES.get(kind, pa.json_()))
            for name, kind in spool.columns
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        for rows in _groups(spool.lines()):
            columns = [
                _column([row.get(field.name) for row in rows], field.type) for field in schema
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _wide_columns(spool: Spool) -> set[str]:
    """Return the columns of integers that 64 bits with a sign do not hold."""
    integers = {name for name, kind in spool.columns if kind == "integer"}
    if not integers:
        return set()
    return {
        name
        for line in spool.lines()
        if _NINETEEN_DIGITS.search(line)  # such a number has no fewer
        for name, value in decode(line).items()
        if name in integers and value is not None and value > _MAX_INT64
    }


def _groups(lines: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    size_bytes = 0
    for line in lines:
        rows.append(decode(line))
        size_bytes += len(line)
        if len(rows) == ROW_GROUP_ROWS or size_bytes >= ROW_GROUP_BYTES:
            yield rows
            rows, size_bytes = [], 0
    if rows:
        yield rows


def _column(values: list[Any], kind: Any) -> Any:
    if kind == pa.json_():
        texts = [None if value is None else encode(value).decode() for value in values]
        return pa.ExtensionArray.from_storage(kind, pa.array(texts, pa.string()))
    if pa.types.is_float64(kind):
        return pa.array([None if value is None else float(value) for value in values], kind)
    return pa.array(values, kind)
