"""Results of DuckDB as a file, written by DuckDB itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import duckdb

from engine.output.json_sql import csv_value, identifier, json_value, parquet_value, type_name
from engine.rows import Columns
from engine.spec import DataFormat

ROW_GROUP_ROWS: Final = 100_000
# zstd at its lowest level costs a tenth more time than snappy, for a quarter of the bytes.
_OPTIONS: Final = {
    DataFormat.JSONL: "FORMAT json",
    DataFormat.CSV: "FORMAT csv, HEADER",
    DataFormat.PARQUET: (
        f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
    ),
}
_VALUES: Final = {
    DataFormat.JSONL: json_value,
    DataFormat.CSV: csv_value,
    DataFormat.PARQUET: parquet_value,
}


def copy_query(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    params: Mapping[str, Any],
    *,
    path: Path,
    format: DataFormat,
) -> tuple[int, Columns]:
    """Write the result of a query to *path*, in its order.

    Args:
        con: No setting of it is changed.
        sql: One SELECT.
        params: Values of ``$name``; those that the query does not name are left out.
        path: A file that does not exist yet.
        format: How to write it.

    Returns:
        Number of rows, and the columns with Fanfold's names of their types.

    Raises:
        duckdb.Error: The query fails.
    """
    whole = f"SELECT * FROM (\n{sql}\n)"
    named = con.extract_statements(whole)[0].named_parameters
    values = {name: value for name, value in params.items() if name in named}
    relation = con.sql(whole, params=values)  # bound, not run
    shown = list(zip(relation.columns, relation.types, strict=True))
    wanted = ", ".join(
        f"{_VALUES[format](identifier(name), kind)} AS {identifier(name)}" for name, kind in shown
    )
    target = str(path).replace("'", "''")
    copied = con.execute(
        f"COPY (SELECT {wanted} FROM (\n{sql}\n)) TO '{target}' ({_OPTIONS[format]})",
        values,
    ).fetchone()
    rows = 0 if copied is None else int(copied[0])
    return rows, tuple((name, type_name(kind)) for name, kind in shown)
