# ruff: noqa: S608
"""Runs the steps of a query in this process, and compares them with plain DuckDB."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from engine.sql.ast import quoted
from engine.sql.query import parameters_of
from engine.sql.split.steps import SqlSteps

Params = Mapping[str, Any]


def connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET arrow_lossless_conversion = true").fetchall()
    con.execute("SET TimeZone = 'UTC'").fetchall()
    con.execute("SET python_enable_replacements = false").fetchall()
    return con


def run(
    con: duckdb.DuckDBPyConnection, sql: str, rows: pa.Table, params: Params | None = None
) -> pa.Table:
    """Run one step over *rows*; what it gives has been through Arrow's IPC format."""
    con.register("input", rows)
    try:
        named = {name: (params or {})[name] for name in parameters_of(sql)}
        table = con.sql(sql, params=named).to_arrow_table()
    finally:
        con.unregister("input")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def run_steps(
    con: duckdb.DuckDBPyConnection,
    steps: SqlSteps,
    rows: pa.Table,
    *,
    batches: int,
    reducers: int,
    params: Params | None = None,
) -> pa.Table:
    """Run all steps over *rows* cut into batches, of which some are empty."""
    parts = [run(con, steps.map, part, params) for part in cut(rows, batches)]
    between = pa.concat_tables(parts)
    if steps.reduce is not None:
        owned = partitioned(con, between, steps.partition_by, reducers)
        between = pa.concat_tables([run(con, steps.reduce, part, params) for part in owned])
    if steps.finish is not None:
        between = run(con, steps.finish, between, params)
    return between


def cut(rows: pa.Table, batches: int) -> list[pa.Table]:
    """Return *rows* in that many parts; of several parts one is empty."""
    if batches == 1:
        return [rows]
    size = math.ceil(len(rows) / (batches - 1)) or 1
    parts = [rows.slice(at * size, size) for at in range(batches - 1)]
    return [*parts[:1], rows.slice(0, 0), *parts[1:]]


def partitioned(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, names: Sequence[str], reducers: int
) -> list[pa.Table]:
    """Return the rows of each reducer."""
    if not names:
        return [rows]
    con.register("mapped", rows)
    columns = ", ".join(map(quoted, names))
    owners = con.sql(f"SELECT (hash({columns}) % {reducers})::INTEGER o FROM mapped").fetchall()
    con.unregister("mapped")
    found = [owner for (owner,) in owners]
    return [
        rows.filter(pa.array([owner == reducer for owner in found], pa.bool_()))
        for reducer in range(reducers)
    ]


def described(con: duckdb.DuckDBPyConnection, table: pa.Table) -> list[tuple[str, str]]:
    """Return names and DuckDB types of the columns."""
    con.register("described", table)
    kinds = con.sql("SELECT * FROM described").types
    con.unregister("described")
    return list(zip(table.column_names, map(str, kinds), strict=True))


def values(con: duckdb.DuckDBPyConnection, table: pa.Table) -> list[tuple[Any, ...]]:
    """Return rows as Python values."""
    con.register("valued", table)
    rows = con.sql("SELECT * FROM valued").fetchall()
    con.unregister("valued")
    return rows


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal, floats within 1e-9 relative; lists in any order."""
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        pairs = zip(sorted(left, key=order_of), sorted(right, key=order_of), strict=True)
        return len(left) == len(right) and all(same(a, b) for a, b in pairs)
    return bool(left == right)


def order_of(value: Any) -> tuple[Any, ...]:
    """Return a sort key for any value; floats that are about equal come near each other."""
    if isinstance(value, (list, tuple)):
        return (5, tuple(sorted(map(order_of, value))))
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (2, float(f"{value:.6g}")) if not math.isnan(value) else (3,)
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return (4, str(value))
    return (1, str(value))


def differences(
    con: duckdb.DuckDBPyConnection, plain: pa.Table, split: pa.Table, *, ordered: bool
) -> str:
    """Return what differs between two results, or nothing."""
    if described(con, plain) != described(con, split):
        return f"columns: {described(con, plain)} != {described(con, split)}"
    wanted, found = values(con, plain), values(con, split)
    if len(wanted) != len(found):
        return f"{len(wanted)} rows != {len(found)} rows"
    if not ordered:
        wanted.sort(key=lambda row: tuple(map(order_of, row)))
        found.sort(key=lambda row: tuple(map(order_of, row)))
    for left, right in zip(wanted, found, strict=True):
        if not all(same(a, b) for a, b in zip(left, right, strict=True)):
            return f"row {left} != {right}"
    return ""
