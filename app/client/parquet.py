"""Rows as Parquet, with numbers that no float and no 64 bits hold as decimals."""

from __future__ import annotations

import shutil
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from app.client.cells import is_number, json_line
from engine.output.parquet_write import write_parquet
from engine.output.spool import Spool

_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1


def write_rows(rows: list[dict[str, Any]], out: BinaryIO) -> None:
    """Write *rows* to *out*; columns that mix types, or are nested, are JSON."""
    long = {name for row in rows for name, value in row.items() if _is_long(value)}
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder, "rows")) as spool:
        spool.fill(row | dict.fromkeys(long & row.keys()) for row in rows)
        path = Path(folder, "parquet")
        write_parquet(spool, path)
        if long:
            table = pq.read_table(path)
            for name in long:
                column = _exact_column([row.get(name) for row in rows])
                table = table.set_column(table.schema.get_field_index(name), name, column)
            pq.write_table(table, path, compression="zstd")
        with path.open("rb") as file:
            shutil.copyfileobj(file, out)


def _is_long(value: Any) -> bool:
    """Tell whether a value has a number that the engine cannot write."""
    if isinstance(value, dict):
        return any(map(_is_long, value.values()))
    if isinstance(value, list):
        return any(map(_is_long, value))
    return isinstance(value, Decimal) or (isinstance(value, int) and not _LEAST <= value <= _MOST)


def _exact_column(values: list[Any]) -> Any:
    """Return a column of decimals; of JSON where not all are numbers, or one is too long."""
    if all(map(is_number, values)):
        try:
            return pa.array(
                [None if value is None else Decimal(json_line(value)) for value in values]
            )
        except pa.ArrowInvalid:  # more than 76 digits
            pass
    texts = [None if value is None else json_line(value) for value in values]
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))
