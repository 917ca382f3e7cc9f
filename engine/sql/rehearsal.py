"""Steps tried on no rows, once the columns of the source are known.

A few aggregates have types that their parts do not have, avg of a timestamp for one. Nothing is
known of types when a query is split; when it is, this finds out before any task runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from engine.sql import ast
from engine.sql.query import Query
from engine.sql.split import parameters_of, whole_in_one
from engine.sql.sqlsteps import SqlSteps


def rehearsed(
    query: Query,
    steps: SqlSteps,
    *,
    columns: Sequence[tuple[str, str]],
    params: Mapping[str, Any],
) -> SqlSteps:
    """Return *steps* if they give the columns that *query* gives, else those of one reduce task.

    Args:
        query: What was split.
        steps: What it was split into.
        columns: Names and DuckDB types of the source's columns.
        params: Values of ``$name``.

    Raises:
        duckdb.Error: The query itself does not fit the source.
    """
    with duckdb.connect(config={"threads": 1, "enable_external_access": False}) as con:
        con.execute("SET arrow_lossless_conversion = true").fetchall()
        typed = ", ".join(f"CAST(NULL AS {kind}) AS {ast.quoted(name)}" for name, kind in columns)
        source = con.sql(f"SELECT {typed} LIMIT 0").to_arrow_table()
        wanted = _columns(con, query.text, source, params)
        try:
            rows = source
            for step in (steps.map, steps.reduce, steps.finish):
                rows = rows if step is None else _run(con, step, rows, params).slice(0, 0)
            found = _described(con, rows)
        except (duckdb.Error, pa.ArrowException):
            return whole_in_one(query)
    return steps if found == wanted else whole_in_one(query)


def _run(
    con: duckdb.DuckDBPyConnection, sql: str, rows: pa.Table, params: Mapping[str, Any]
) -> pa.Table:
    con.register("input", rows)
    try:
        named = {name: params[name] for name in parameters_of(sql)}
        return con.sql(sql, params=named).to_arrow_table()
    finally:
        con.unregister("input")


def _columns(
    con: duckdb.DuckDBPyConnection, sql: str, rows: pa.Table, params: Mapping[str, Any]
) -> list[tuple[str, str]]:
    return _described(con, _run(con, sql, rows, params))


def _described(con: duckdb.DuckDBPyConnection, rows: pa.Table) -> list[tuple[str, str]]:
    con.register("described", rows)
    kinds = con.sql("SELECT * FROM described").types
    con.unregister("described")
    return list(zip(rows.column_names, map(str, kinds), strict=True))
