"""Programs in SQL and over columns for tests, loaded by the services that ``running.py`` starts."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from engine import Context, Program, SqlProgram


class SalesAboveParams(BaseModel):
    """Parameters of sales_above."""

    model_config = ConfigDict(extra="forbid")

    least: float = Field(default=0, ge=0)
    cities: list[str] = Field(default_factory=lambda: ["Oslo", "Rome", "Bonn"])


sales_above = SqlProgram(
    name="sales_above",
    query=(
        "SELECT city, count(*) AS sales, sum(amount) AS total FROM input "
        "WHERE amount >= $least AND list_contains($cities, city) GROUP BY city ORDER BY city"
    ),
    params=SalesAboveParams,
)
sales_in_steps = SqlProgram(
    name="sales_in_steps",
    map="SELECT city, sum(amount) AS part, count(*) AS n FROM input GROUP BY city",
    partition_by=["city"],
    reduce="SELECT city, sum(part) AS total, sum(n)::BIGINT AS sales FROM input GROUP BY city",
    finish="SELECT * FROM input ORDER BY total DESC LIMIT 2",
)
sql_rows_only = SqlProgram(name="sql_rows_only", map="SELECT city, amount * 2 AS twice FROM input")


def totals_of(table: Any, ctx: Context) -> Any:
    grouped = table.group_by("city").aggregate([("amount", "sum")])
    ctx.count("rows", table.num_rows)
    return grouped.rename_columns(["key", "value"]).select(["key", "value"])


def total(key: str, values: list[float], ctx: Context) -> float:
    return sum(values)


def large_rows(table: Any, ctx: Context) -> Any:
    return table.filter(pc.field("amount") > 90)


columnar_totals = Program(
    name="columnar_totals", map_batch=totals_of, combine=total, reduce=total, columnar=True
)
columnar_rows = Program(name="columnar_rows", map_batch=large_rows, columnar=True)
