"""The same for columnar programs: a table is halved until single rows are left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from engine.errors import OutputError, TaskError
from engine.isolation.items import Isolation, Positions, halved
from engine.source.arrow_values import json_rows

Rows = Any
"""A table, or a list of rows or pairs."""


def produced_from_table(
    isolation: Isolation, table: pa.Table, place_of: Callable[[int], object]
) -> Iterator[Rows]:
    """Yield what the rows that do not fail are mapped to, in their order: pairs, rows, tables.

    Args:
        isolation: Sets the others aside.
        table: The batch.
        place_of: Says where a row came from.
    """
    function = isolation.program.map_batch
    assert function is not None  # noqa: S101 - a columnar program has one

    def attempt(positions: Positions) -> Rows | TaskError:
        part = _part(table, positions)
        return isolation.tried("map_batch", lambda ctx: function(part, ctx), positions, listed)

    def listed(found: Any) -> Rows:
        if not isinstance(found, pa.Table):
            return isolation.listed(found)
        if isolation.program.is_map_only:
            return found
        if {"key", "value"} - set(found.column_names):
            raise OutputError(f"the table has no columns key and value: {found.column_names}")
        keys, values = found.column("key").to_pylist(), found.column("value").to_pylist()
        return isolation.listed(zip(keys, values, strict=True))

    def row_of(position: int) -> Any:
        return rows_of(table.slice(position, 1))[0]

    for position, error in isolation.known(table.num_rows):
        isolation.aside.add(place_of(position), row_of(position), error)
    for positions in isolation.ranges(table.num_rows):
        yield from halved(
            positions,
            attempt,
            lambda at, error: isolation.aside.add(place_of(at), row_of(at), error),
        )


def together(parts: list[Rows]) -> Rows:
    """Return the rows of all *parts*: one table where all are tables that fit together."""
    tables = [part for part in parts if isinstance(part, pa.Table)]
    if parts and len(tables) == len(parts):
        return pa.concat_tables(tables, promote_options="permissive")
    return [row for part in parts for row in rows_of(part)]


def rows_of(part: Rows) -> list[Any]:
    """Return the rows of a table as dicts."""
    if not isinstance(part, pa.Table):
        return list(part)
    return [row for batch in part.to_batches() for row in json_rows(batch)]


def _part(table: pa.Table, positions: Positions) -> pa.Table:
    if positions[-1] - positions[0] + 1 == len(positions):
        return table.slice(positions[0], len(positions))
    return table.take(pa.array(positions))
