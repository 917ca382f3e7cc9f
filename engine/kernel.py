"""The map-reduce itself: pure functions from items to pairs, from pairs to rows.

The same in an arq worker's task process, a Lambda and a Spark executor, giving the same bytes.
Knows nothing of files, queues or attempts; whatever a program raises leaves here as a ``TaskError``
that names the function, the line of the program and, for a per-item map, the item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.blame import blame
from engine.context import Context
from engine.errors import OutputError
from engine.pairs.groups import Groups
from engine.pairs.read import read_groups
from engine.program import Program

Row = Mapping[str, Any]


class ItemStream:
    """The items of a batch, some at a time; counts those that have been taken."""

    def __init__(self, chunks: Iterable[Sequence[Any]]) -> None:
        self._chunks = chunks
        self.count = 0

    def __iter__(self) -> Iterator[Any]:
        """Yield every item once."""
        for chunk in self._chunks:
            self.count += len(chunk)
            yield from chunk

    def all(self) -> list[Any]:
        """Return every item at once."""
        found: list[Any] = []
        for chunk in self._chunks:
            found += chunk
        self.count = len(found)
        return found


def map_batch(program: Program, items: Iterable[Any], ctx: Context) -> Groups:
    """Map a batch and combine what it yields.

    Args:
        program: A program with a synchronous map and a reduce.
        items: The batch's items.
        ctx: Gets the position of each item as it is mapped.

    Raises:
        TaskError: The program raised, or yielded something other than pairs of JSON values.
    """
    groups = Groups()
    with blame(map_name(program), program, ctx):
        for pairs in _mapped(program, items, ctx):
            collect(program, pairs, groups, ctx)
    return combined(program, groups, ctx)


def map_rows(program: Program, items: Iterable[Any], ctx: Context) -> Iterator[Row]:
    """Map a batch of a map-only program to result rows, in the order of the items.

    Raises:
        TaskError: The program raised.
    """
    with blame(map_name(program), program, ctx):
        for rows in _mapped(program, items, ctx):
            yield from map(as_row, rows or ())


def map_table(program: Program, table: pa.Table, ctx: Context) -> Groups:
    """Map a batch that is a table, for a columnar program with a reduce.

    Raises:
        TaskError: As for ``map_batch``; or it returned a table without ``key`` and ``value``.
    """
    groups = Groups()
    with blame("map_batch", program, ctx):
        found = _called(program, table, ctx)
        if isinstance(found, pa.Table):
            if {"key", "value"} - set(found.column_names):
                raise OutputError(f"the table has no columns key and value: {found.column_names}")
            found = zip(
                found.column("key").to_pylist(), found.column("value").to_pylist(), strict=True
            )
        collect(program, found, groups, ctx)
    return combined(program, groups, ctx)


def map_table_rows(program: Program, table: pa.Table, ctx: Context) -> pa.Table | Iterator[Row]:
    """Map a batch that is a table, for a columnar program whose map gives the result.

    Raises:
        TaskError: The program raised; also while the rows are iterated.
    """
    with blame("map_batch", program, ctx):
        found = _called(program, table, ctx)
    return found if isinstance(found, pa.Table) else _finished(program, found, ctx, "map_batch")


def reduce_partition(
    program: Program, parts: Iterable[Any], ctx: Context, *, scratch: Path | None = None
) -> Iterator[Row]:
    """Reduce one partition to result rows, in key order.

    Args:
        program: A program with a reduce.
        parts: The partition's bytes from every map task, in task order.
        ctx: The attempt's context.
        scratch: A folder for a partition that exceeds memory; without one it is kept whole.

    Raises:
        TaskError: The program raised.
    """
    reduce = program.reduce
    if reduce is None:
        raise ValueError(f"program {program.name} has no reduce")
    with blame("reduce", program, ctx):
        for key, values in read_groups(parts, scratch=scratch):
            value = reduce(key, values, ctx)
            yield value if isinstance(value, Mapping) else {"key": key, "value": value}


def finish_rows(program: Program, rows: Iterator[Row], ctx: Context) -> Iterator[Row] | None:
    """Give all rows to the program's finish.

    Returns:
        The final rows; None when they are *rows* as they are, which finish says by returning them
        untouched, or by not being there.

    Raises:
        TaskError: The program raised; also while the rows are iterated.
    """
    if program.finish is None:
        return None
    with blame("finish", program, ctx):
        finished = program.finish(rows, ctx)
    return None if finished is rows else _finished(program, finished, ctx)


def map_name(program: Program) -> str:
    """Return what the program calls its map."""
    return "map_batch" if program.map is None else "map"


def collect(program: Program, pairs: Iterable[Any] | None, groups: Groups, ctx: Context) -> None:
    """Add what an item or a batch mapped to; combine when there is much of it.

    Raises:
        TaskError: It is something other than pairs of JSON values, or combine raised.
    """
    if isinstance(pairs, Mapping):
        groups.add_all(pairs)
        return
    add, combines = groups.add, program.combine is not None
    for pair in pairs or ():
        try:
            key, value = pair
        except (TypeError, ValueError):
            raise OutputError(f"{str(pair)[:80]!r} is not a (key, value) pair") from None
        add(key, value)
        if combines and groups.pairs >= groups.crowded_at:
            combined(program, groups, ctx)


def combined(program: Program, groups: Groups, ctx: Context) -> Groups:
    """Return *groups*, combined if the program does so.

    Raises:
        TaskError: The program raised.
    """
    combine = program.combine
    if combine is not None:
        with blame("combine", program, ctx):
            groups.combine(lambda key, values: combine(key, values, ctx))
    return groups


def as_row(row: Any) -> Row:
    """Return what a program gave as a row, under the name ``value`` if it is no mapping."""
    return row if isinstance(row, Mapping) else {"value": row}


def _mapped(program: Program, items: Iterable[Any], ctx: Context) -> Iterator[Iterable[Any] | None]:
    if program.map_batch is not None:
        yield program.map_batch(items.all() if isinstance(items, ItemStream) else list(items), ctx)
    elif program.map is not None:
        for ctx.position, item in enumerate(items):
            yield program.map(item, ctx)


def _called(program: Program, table: pa.Table, ctx: Context) -> Any:
    function = program.map_batch
    assert function is not None  # noqa: S101 - a columnar program has one
    return function(table, ctx)


def _finished(
    program: Program, rows: Iterable[Any] | None, ctx: Context, function: str = "finish"
) -> Iterator[Row]:
    with blame(function, program, ctx):
        yield from map(as_row, rows or ())
