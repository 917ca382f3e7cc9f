"""Mean and extremes of what sensors measured, by whole columns instead of row by row.

``map_batch`` gets a ``pyarrow.Table`` with typed columns. What it yields is a line a sensor, so
hardly anything is shuffled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow.compute as pc

from engine import Context, Program

Part = tuple[int, float, float, float]
"""Count, sum, least and most."""


def parts_of(table: Any, ctx: Context) -> Iterator[tuple[str, Part]]:
    known = table.filter(pc.field("celsius").is_valid())
    ctx.count("without_a_value", table.num_rows - known.num_rows)
    grouped = known.group_by("sensor").aggregate(
        [("celsius", "count"), ("celsius", "sum"), ("celsius", "min"), ("celsius", "max")]
    )
    for each in grouped.to_pylist():
        yield (
            each["sensor"],
            (
                each["celsius_count"],
                each["celsius_sum"],
                each["celsius_min"],
                each["celsius_max"],
            ),
        )


def merged(key: str, values: Iterable[Part], ctx: Context) -> Part:
    counts, sums, least, most = zip(*values, strict=True)
    return sum(counts), sum(sums), min(least), max(most)


def row(key: str, values: Iterable[Part], ctx: Context) -> dict[str, Any]:
    count, total, least, most = merged(key, values, ctx)
    return {"sensor": key, "mean": round(total / count, 3), "min": least, "max": most}


sensors = Program(
    name="sensors",
    description="Mean, least and most of each sensor, over columns.",
    map_batch=parts_of,
    combine=merged,
    reduce=row,
    columnar=True,
)
