"""Programs for tests, loaded by the services that ``running.py`` starts."""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine import Context, NonRetryable, Program

MEGABYTE = 1024 * 1024


class SalesParams(BaseModel):
    """Parameters of sales."""

    model_config = ConfigDict(extra="forbid")

    at_least: float = Field(default=0, ge=0, alias="atLeast")


class HoldParams(BaseModel):
    """Parameters of held."""

    folder: str
    where: Literal["map", "reduce", "finish"] = "map"
    attempts: int = 1


class PickyParams(BaseModel):
    """Parameters of picky."""

    model_config = ConfigDict(extra="forbid")

    refuses: str = "bad"


class CrowdParams(BaseModel):
    """Parameters of crowd."""

    folder: str


# ------------------------------------------------------------------ that work


def sales_of(row: dict[str, Any], ctx: Context) -> Iterator[tuple[str, list[float]]]:
    amount = float(row["amount"])
    if amount < ctx.params.at_least:
        ctx.count("too_small")
        return
    ctx.count("sold", amount)
    yield row["city"], [1, amount]


def added(key: str, values: list[list[float]], ctx: Context) -> list[float]:
    return [sum(column) for column in zip(*values, strict=True)]


def sales_row(key: str, values: list[list[float]], ctx: Context) -> dict[str, Any]:
    number, amount = added(key, values, ctx)
    return {"city": key, "sales": number, "amount": amount}


def by_amount(rows: Iterator[dict[str, Any]], ctx: Context) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (-row["amount"], row["city"]))


sales = Program(
    name="sales",
    map=sales_of,
    combine=added,
    reduce=sales_row,
    finish=by_amount,
    params=SalesParams,
)


def numbered(line: str, ctx: Context) -> Iterator[dict[str, Any]]:
    yield {"line": line, "length": len(line)}


def lengths_of(lines: list[str], ctx: Context) -> Iterator[tuple[int, int]]:
    for line in lines:
        yield len(line), 1


def total(key: Any, values: list[int], ctx: Context) -> int:
    return sum(values)


async def letters_of(line: str, ctx: Context) -> list[tuple[str, int]]:
    await asyncio.sleep(0)
    return [(letter, 1) for letter in line if letter.isalpha()]


def words_slowly(lines: list[str], ctx: Context) -> Iterator[tuple[str, int]]:
    time.sleep(0.03)
    for line in lines:
        for word in line.split():
            ctx.count("words")
            yield word, 1


def text_by_key(row: dict[str, str], ctx: Context) -> Iterator[tuple[str, str]]:
    yield row["key"], row["text"]


def length_of_all(key: str, values: list[str], ctx: Context) -> int:
    return sum(map(len, values))


lines = Program(name="lines", map=numbered)
by_key = Program(name="by_key", map=text_by_key, reduce=length_of_all)
lengths = Program(name="lengths", map_batch=lengths_of, combine=total, reduce=total)
letters = Program(name="letters", map=letters_of, reduce=total)
slow_count = Program(name="slow_count", map_batch=words_slowly, combine=total, reduce=total)


# ------------------------------------------------------------------ that wait


def hold(ctx: Context, where: str) -> None:
    """Tell in a file's name that the attempt has begun, then wait for the named pipe's writer."""
    if where == ctx.params.where and ctx.attempt <= ctx.params.attempts:
        folder = Path(ctx.params.folder)
        (folder / f"{ctx.task_id}.{ctx.attempt}.{os.getpid()}").touch()
        with (folder / "gate").open() as gate:
            gate.read()


def words_held(line: str, ctx: Context) -> Iterator[tuple[str, int]]:
    if line == "hold":
        hold(ctx, "map")
    if line == "bad":
        raise NonRetryable("no such customer")
    for word in line.split():
        ctx.count("words")
        yield word, 1


def total_held(key: str, values: list[int], ctx: Context) -> int:
    if key == "hold":
        hold(ctx, "reduce")
    return sum(values)


def words_padded(line: str, ctx: Context) -> Iterator[tuple[str, str]]:
    """Like ``words_held``, but with values of which none fits into the ledger."""
    for word, _ in words_held(line, ctx):
        yield word, random.Random(word).randbytes(50_000).hex()  # noqa: S311 - guards nothing


def how_many(key: str, values: list[str], ctx: Context) -> int:
    return len(values)


def how_many_held(key: str, values: list[str], ctx: Context) -> int:
    return total_held(key, [1] * len(values), ctx)


def rows_held(rows: Iterator[dict[str, Any]], ctx: Context) -> Iterator[dict[str, Any]]:
    hold(ctx, "finish")
    yield from rows


held = Program(name="held", map=words_held, reduce=total_held, params=HoldParams)
held_large = Program(name="held_large", map=words_padded, reduce=how_many, params=HoldParams)
held_anywhere = Program(
    name="held_anywhere",
    map=words_padded,
    reduce=how_many_held,
    finish=rows_held,
    params=HoldParams,
)
held_sum = Program(
    name="held_sum", map=words_held, combine=total, reduce=total_held, params=HoldParams
)


async def wait_in_crowd(line: str, ctx: Context) -> list[tuple[str, int]]:
    """Tell by a file that the item is there, and wait until a file of its name lets it go."""
    folder = Path(ctx.params.folder)
    (folder / f"{line}.begun").touch()
    released = (folder / f"{line}.go", folder / "all.go")
    while not any(path.exists() for path in released):  # noqa: ASYNC110 - by another process
        await asyncio.sleep(0.02)
    return [(line, 1)]


def _same(key: str, values: list[Any], ctx: Context) -> Any:
    return values[0]


def time_told(line: str, ctx: Context) -> Iterator[tuple[str, float]]:
    yield line, time.time()


clock = Program(name="clock", map=time_told, reduce=_same)
crowd = Program(name="crowd", map=wait_in_crowd, reduce=total, params=CrowdParams)


def loop_for_ever(item: Any, ctx: Context) -> Iterator[tuple[str, int]]:
    while True:
        pass
    yield "never", 1


endless = Program(name="endless", map=loop_for_ever, reduce=total)


# ------------------------------------------------------------------ that fail


def _exits() -> None:
    os._exit(1)


def _leaves() -> None:
    sys.exit(3)


def _kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _forks_and_dies() -> None:
    if os.fork() == 0:
        signal.pause()
    os._exit(1)


def _raises() -> None:
    raise ValueError("the tax is negative")


def _raises_for_good() -> None:
    raise NonRetryable("no such customer")


def _prints() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.write("x" * MEGABYTE + "\n")
        stream.flush()


def _on_bad(act: Callable[[], None]) -> Callable[[str, Context], Iterator[tuple[str, int]]]:
    """Return a map that counts lines and does *act* at the line ``bad``."""

    def count_lines(line: str, ctx: Context) -> Iterator[tuple[str, int]]:
        if line == "bad":
            act()
        yield line, 1

    return count_lines


def _yielding(value: Any) -> Callable[[str, Context], Iterator[Any]]:
    """Return a map that counts lines, but for the line ``bad`` yields *value*."""

    def count_lines(line: str, ctx: Context) -> Iterator[Any]:
        yield value if line == "bad" else (line, 1)

    return count_lines


def words_at_second_try(line: str, ctx: Context) -> Iterator[tuple[str, int]]:
    _die_at_first(line, ctx)
    for word in line.split():
        yield word, 1


def total_at_second_try(key: str, values: list[int], ctx: Context) -> int:
    _die_at_first(key, ctx)
    return sum(values)


def _die_at_first(text: str, ctx: Context) -> None:
    if text == "bad" and ctx.attempt == 1:
        _kills_itself()


dies_at_first = Program(name="dies_at_first", map=words_at_second_try, reduce=total_at_second_try)
exits = Program(name="exits", map=_on_bad(_exits), reduce=total)
leaves = Program(name="leaves", map=_on_bad(_leaves), reduce=total)
kills_itself = Program(name="kills_itself", map=_on_bad(_kills_itself), reduce=total)
forks_and_dies = Program(name="forks_and_dies", map=_on_bad(_forks_and_dies), reduce=total)


def words_if_liked(line: str, ctx: Context) -> Iterator[tuple[str, int]]:
    if ctx.params.refuses in line:
        raise NonRetryable(f"{ctx.params.refuses!r} is not liked")
    for word in line.split():
        ctx.count("words")
        yield word, 1


picky = Program(name="picky", map=words_if_liked, reduce=total, params=PickyParams)
raises = Program(name="raises", map=_on_bad(_raises), reduce=total)
raises_for_good = Program(name="raises_for_good", map=_on_bad(_raises_for_good), reduce=total)
prints = Program(name="prints", map=_on_bad(_prints), reduce=total)
gives_nan = Program(name="gives_nan", map=_yielding(("bad", math.nan)), reduce=_same)
gives_set = Program(name="gives_set", map=_yielding(("bad", {1})), reduce=_same)
gives_datetime = Program(
    name="gives_datetime", map=_yielding(("bad", datetime(2026, 1, 31, tzinfo=UTC))), reduce=_same
)
gives_no_pair = Program(name="gives_no_pair", map=_yielding(7), reduce=_same)


def _nan(key: str, values: list[Any], ctx: Context) -> float:
    return math.nan


reduces_to_nan = Program(name="reduces_to_nan", map=_yielding(("bad", 1)), reduce=_nan)


def _row_with_set(line: str, ctx: Context) -> Iterator[Any]:
    yield {"line": line, "tags": {line}}


row_with_set = Program(name="row_with_set", map=_row_with_set)


# ------------------------------------------------------------------ that fail with some items


def _act(line: str) -> None:
    match line:
        case "raise":
            raise ValueError("the tax is negative")
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "loop":
            while True:
                pass


def words_or_act(line: str, ctx: Context) -> Iterator[tuple[str, int]]:
    ctx.count("lines")
    yield line, 1
    _act(line)


def all_words_or_act(lines: list[str], ctx: Context) -> Iterator[tuple[str, int]]:
    for line in lines:
        yield from words_or_act(line, ctx)


async def words_or_act_async(line: str, ctx: Context) -> list[tuple[str, int]]:
    await asyncio.sleep(0)
    return list(words_or_act(line, ctx))


def column_or_act(table: Any, ctx: Context) -> Iterator[tuple[str, int]]:
    yield from all_words_or_act(table.column("line").to_pylist(), ctx)


def _refuse_sum(key: str, values: list[int], ctx: Context) -> int:
    raise ValueError("this does not add up")


def _twice(line: str, ctx: Context) -> Iterator[tuple[str, int]]:
    yield line, 1
    yield line, 1


gives_no_sum = Program(name="gives_no_sum", map=_twice, combine=_refuse_sum, reduce=total)
choosy = Program(name="choosy", map=words_or_act, reduce=total)
choosy_batch = Program(name="choosy_batch", map_batch=all_words_or_act, reduce=total)
choosy_async = Program(name="choosy_async", map=words_or_act_async, reduce=total)
choosy_table = Program(name="choosy_table", map_batch=column_or_act, reduce=total, columnar=True)
