"""The map-reduce itself: pure functions from items to pairs, from pairs to rows.

The same in an arq worker's task process, a Lambda and a Spark executor, giving the same bytes.
Knows nothing of files, queues or attempts; whatever a program raises leaves here as a ``TaskError``
that names the function, the line of the program and, for a per-item map, the item.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.context import Context
from engine.errors import FanfoldError, NonRetryable, OutputError, UserCodeError
from engine.pairs import Groups, read_groups
from engine.program import Program

Row = Mapping[str, Any]

ASYNC_ITEMS_AT_ONCE: Final = 1_000
MAX_MESSAGE_LENGTH: Final = 4_096
_OURS: Final = (__file__, read_groups.__code__.co_filename)


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
    with _blame(_map_name(program), program, ctx):
        for pairs in _mapped(program, items, ctx):
            _collect(program, pairs, groups, ctx)
    return _combined(program, groups, ctx)


async def map_batch_async(program: Program, items: Sequence[Any], ctx: Context) -> Groups:
    """Like ``map_batch`` for a map that is ``async def``; its items wait side by side.

    Raises:
        TaskError: As for ``map_batch``.
    """
    groups = Groups()
    async for pairs in _mapped_async(program, items, ctx):
        with _blame(_map_name(program), program, ctx):
            _collect(program, pairs, groups, ctx)
    return _combined(program, groups, ctx)


def map_rows(program: Program, items: Iterable[Any], ctx: Context) -> Iterator[Row]:
    """Map a batch of a map-only program to result rows, in the order of the items.

    Raises:
        TaskError: The program raised.
    """
    with _blame(_map_name(program), program, ctx):
        for rows in _mapped(program, items, ctx):
            yield from map(_as_row, rows or ())


async def map_rows_async(
    program: Program, items: Sequence[Any], ctx: Context
) -> AsyncIterator[Row]:
    """Like ``map_rows`` for a map that is ``async def``.

    Raises:
        TaskError: The program raised.
    """
    async for rows in _mapped_async(program, items, ctx):
        for row in rows or ():
            yield _as_row(row)


def map_table(program: Program, table: pa.Table, ctx: Context) -> Groups:
    """Map a batch that is a table, for a columnar program with a reduce.

    Raises:
        TaskError: As for ``map_batch``; or it returned a table without ``key`` and ``value``.
    """
    groups = Groups()
    with _blame("map_batch", program, ctx):
        found = _called(program, table, ctx)
        if isinstance(found, pa.Table):
            if {"key", "value"} - set(found.column_names):
                raise OutputError(f"the table has no columns key and value: {found.column_names}")
            found = zip(
                found.column("key").to_pylist(), found.column("value").to_pylist(), strict=True
            )
        _collect(program, found, groups, ctx)
    return _combined(program, groups, ctx)


def map_table_rows(program: Program, table: pa.Table, ctx: Context) -> pa.Table | Iterator[Row]:
    """Map a batch that is a table, for a columnar program whose map gives the result.

    Raises:
        TaskError: The program raised; also while the rows are iterated.
    """
    with _blame("map_batch", program, ctx):
        found = _called(program, table, ctx)
    return found if isinstance(found, pa.Table) else _finished(program, found, ctx, "map_batch")


def _called(program: Program, table: pa.Table, ctx: Context) -> Any:
    function = program.map_batch
    assert function is not None  # noqa: S101 - a columnar program has one
    return function(table, ctx)


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
    with _blame("reduce", program, ctx):
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
    with _blame("finish", program, ctx):
        finished = program.finish(rows, ctx)
    return None if finished is rows else _finished(program, finished, ctx)


def _finished(
    program: Program, rows: Iterable[Any] | None, ctx: Context, function: str = "finish"
) -> Iterator[Row]:
    with _blame(function, program, ctx):
        yield from map(_as_row, rows or ())


def _map_name(program: Program) -> str:
    return "map_batch" if program.map is None else "map"


def _mapped(program: Program, items: Iterable[Any], ctx: Context) -> Iterator[Iterable[Any] | None]:
    if program.map_batch is not None:
        yield program.map_batch(items.all() if isinstance(items, ItemStream) else list(items), ctx)
    elif program.map is not None:
        for ctx.position, item in enumerate(items):
            yield program.map(item, ctx)


async def _mapped_async(
    program: Program, items: Sequence[Any], ctx: Context
) -> AsyncIterator[Iterable[Any] | None]:
    """Yield what each item mapped to, in the order of the items, once all have been mapped.

    An item waits for others only while 1,000 of them are on their way.
    """
    if program.map_batch is not None:
        yield await _gathered("map_batch", program.map_batch, items, program, ctx)
        return
    function = program.map
    assert function is not None  # noqa: S101 - Program has exactly one of the two
    produced: list[Iterable[Any]] = [()] * len(items)
    room = asyncio.Semaphore(ASYNC_ITEMS_AT_ONCE)

    async def map_one(position: int, item: Any) -> None:
        produced[position] = await _gathered("map", function, item, program, ctx.at(position))
        room.release()

    try:
        async with asyncio.TaskGroup() as group:
            for position, item in enumerate(items):
                await room.acquire()
                group.create_task(map_one(position, item))
    except* FanfoldError as failures:
        raise failures.exceptions[0] from None
    for ctx.position, pairs in enumerate(produced):
        yield pairs


async def _gathered(
    name: str, function: Callable[..., Any], argument: Any, program: Program, ctx: Context
) -> Iterable[Any]:
    try:
        with _blame(name, program, ctx):
            if inspect.isasyncgenfunction(function):
                return [pair async for pair in function(argument, ctx)]
            produced = await function(argument, ctx) or ()
            return produced if isinstance(produced, Mapping) else list(produced)
    except asyncio.CancelledError as exc:
        if _is_being_cancelled():
            raise
        # Something that the program waited for was; nobody would ever hear of this item.
        raise UserCodeError(_report(name, program, ctx, exc)) from exc


def _collect(program: Program, pairs: Iterable[Any] | None, groups: Groups, ctx: Context) -> None:
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
            _combined(program, groups, ctx)


def _combined(program: Program, groups: Groups, ctx: Context) -> Groups:
    combine = program.combine
    if combine is not None:
        with _blame("combine", program, ctx):
            groups.combine(lambda key, values: combine(key, values, ctx))
    return groups


def _as_row(row: Any) -> Row:
    return row if isinstance(row, Mapping) else {"value": row}


@contextmanager
def _blame(function: str, program: Program, ctx: Context) -> Iterator[None]:
    """Turn whatever a program raises into a TaskError that says where."""
    try:
        yield
    except NonRetryable as exc:
        raise UserCodeError(_report(function, program, ctx, exc), retryable=False) from exc
    except OutputError as exc:
        if function != "map":
            raise
        raise OutputError(f"{exc}{_item_place(ctx)}") from exc
    except FanfoldError:
        raise
    except Exception as exc:
        raise UserCodeError(_report(function, program, ctx, exc)) from exc


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _report(function: str, program: Program, ctx: Context, exc: BaseException) -> str:
    frame = _programs_frame(exc)
    line = f" ({frame.filename.rpartition('/')[2]}, line {frame.lineno})" if frame else ""
    place = _item_place(ctx) if function == "map" else ""
    text = f"{function} of {program.name} raised {type(exc).__name__}: {exc}{line}{place}"
    return text[:MAX_MESSAGE_LENGTH]


def _programs_frame(exc: BaseException) -> traceback.FrameSummary | None:
    """Return where the program was: below us, above any library that it called."""
    frames = [f for f in traceback.extract_tb(exc.__traceback__) if f.filename not in _OURS]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return own[-1] if own else None


def _item_place(ctx: Context) -> str:
    place = ctx.place
    return f", at {place}" if place else ""
