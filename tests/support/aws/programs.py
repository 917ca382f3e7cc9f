"""Programs that fail where their parameters say, for runs that are redriven with others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from engine import Context, NonRetryable, Program


class FragileParams(BaseModel):
    """Parameters of fragile and weighed."""

    model_config = ConfigDict(extra="forbid")

    breaks: str = ""


def words_of(line: str, ctx: Context) -> Iterator[tuple[str, int]]:
    for word in line.split():
        yield word, 1


def total(key: str, values: list[int], ctx: Context) -> int:
    _break(ctx, "reduce")
    return sum(values)


def sorted_rows(rows: Iterator[dict[str, Any]], ctx: Context) -> list[dict[str, Any]]:
    _break(ctx, "finish")
    return sorted(rows, key=lambda row: row["key"])


def weight_of(entry: dict[str, Any], ctx: Context) -> Iterator[tuple[str, int]]:
    _break(ctx, entry["key"])
    yield "bytes", entry["size"]


def _break(ctx: Context, where: str) -> None:
    if ctx.params.breaks == where:
        raise NonRetryable(f"told to break at {where}")


fragile = Program(
    name="fragile", map=words_of, reduce=total, finish=sorted_rows, params=FragileParams
)
weighed = Program(name="weighed", map=weight_of, reduce=total, params=FragileParams)
