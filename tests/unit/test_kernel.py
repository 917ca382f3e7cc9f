"""The map-reduce itself: however it is cut, the same rows; whatever a program does, who did it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.async_map import ITEMS_AT_ONCE, map_batch_async, map_rows_async
from engine.batch import InlinePlace
from engine.context import Context
from engine.errors import NonRetryable, OutputError, SourceError, TaskError, UserCodeError
from engine.jsonvalue import decode, encode_key
from engine.kernel import (
    Row,
    finish_rows,
    map_batch,
    map_rows,
    reduce_partition,
)
from engine.pairs.groups import COMBINE_EVERY_PAIRS, Groups
from engine.partition import partitions_of
from engine.program import Program

pytestmark = pytest.mark.anyio

Pair = tuple[Any, Any]
Item = list[Pair]

INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=4)
SCALARS = st.none() | st.booleans() | UINT64 | FLOATS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
EXOTIC_KEYS = st.sampled_from(
    [
        *(0, 1, 1.0, True, False, None, [], [1], [1.0], {}, {"b": 1, "a": 2}),
        *("", "1", "true", "null", "a", "a!", "a b", "\n", '"', "é", "e\u0301", "🙂", "\x00"),
        *(9, 10, -1, 2**63, 2**64 - 1),
    ]
)
KEYS = EXOTIC_KEYS | VALUES
# Jobs whose keys are all of one kind take the fast ways, so that each has to be drawn by itself.
KEYS_OF_A_JOB = st.sampled_from([KEYS, EXOTIC_KEYS, TEXTS, INT64, st.sampled_from(["a", "b"])])
VALUES_OF_A_JOB = st.sampled_from([VALUES, TEXTS, INT64, FLOATS])


@st.composite
def jobs(draw: st.DrawFn) -> tuple[list[Item], list[int], int]:
    """Items that are lists of pairs, where to cut them into batches, and how many partitions."""
    pair = st.tuples(draw(KEYS_OF_A_JOB), draw(VALUES_OF_A_JOB))
    items = draw(st.lists(st.lists(pair, max_size=4), max_size=12))
    cuts = sorted(draw(st.lists(st.integers(0, len(items)), max_size=4)))
    return items, [0, *cuts, len(items)], draw(st.integers(1, 5))


def pairs_of(item: Item, ctx: Context) -> Iterator[Pair]:
    yield from item


async def pairs_of_async(item: Item, ctx: Context) -> Item:
    await asyncio.sleep(0)
    return item


def all_values(key: Any, values: list[Any], ctx: Context) -> list[Any]:
    return values


def collect(key: Any, values: list[Any], ctx: Context) -> list[Any]:
    """Join lists: a combine that shows the order in which it got its values."""
    return [value for part in values for value in part]


LISTING = Program(name="listing", map=pairs_of, reduce=all_values)
COLLECTING = Program(
    name="collecting",
    map=lambda item, ctx: [(key, [value]) for key, value in item],
    combine=collect,
    reduce=collect,
)


def context(items: Sequence[Any] = ()) -> Context:
    return Context(params={}, locate=InlinePlace if items else None)


def mapped(program: Program, items: Sequence[Any]) -> Groups:
    return map_batch(program, items, context(items))


def batches_of(items: list[Item], cuts: list[int]) -> list[list[Item]]:
    return [items[start:end] for start, end in pairwise(cuts)]


def shuffled_and_reduced(
    program: Program, groups: Sequence[Groups], partitions: int
) -> list[list[Row]]:
    """Return the rows of each partition."""
    pieces = [group.to_piece(partitions) for group in groups]
    return [
        list(
            reduce_partition(
                program, [data[cuts[p] : cuts[p + 1]] for data, cuts in pieces], context()
            )
        )
        for p in range(partitions)
    ]


def reference(items: list[Item]) -> dict[bytes, list[Any]]:
    """Group the pairs as one process without batches would: by canonical JSON, in order."""
    groups: dict[bytes, list[Any]] = {}
    for item in items:
        for key, value in item:
            groups.setdefault(encode_key(key), []).append(value)
    return groups


def exactly(value: Any) -> bytes:
    """Return a form in which 1, 1.0 and True differ."""
    return encode_key(value)


def by_key(partitions: Sequence[Sequence[Row]]) -> dict[bytes, bytes]:
    rows = [row for rows in partitions for row in rows]
    found = {exactly(row["key"]): exactly(row["value"]) for row in rows}
    assert len(found) == len(rows), "a key has two rows"
    return found


@settings(max_examples=250)
@given(job=jobs())
def test_whatever_the_batches_and_partitions_the_groups_are_those_of_one_process(
    job: tuple[list[Item], list[int], int],
) -> None:
    items, cuts, partitions = job
    groups = [mapped(LISTING, batch) for batch in batches_of(items, cuts)]

    found = shuffled_and_reduced(LISTING, groups, partitions)

    assert by_key(found) == {key: exactly(values) for key, values in reference(items).items()}


@settings(max_examples=100)
@given(job=jobs())
def test_combining_changes_nothing_and_sees_values_in_order(
    job: tuple[list[Item], list[int], int],
) -> None:
    items, cuts, partitions = job
    groups = [mapped(COLLECTING, batch) for batch in batches_of(items, cuts)]

    found = shuffled_and_reduced(COLLECTING, groups, partitions)

    assert by_key(found) == {key: exactly(values) for key, values in reference(items).items()}


@settings(max_examples=100)
@given(job=jobs())
def test_each_row_is_in_the_partition_that_owns_its_key(
    job: tuple[list[Item], list[int], int],
) -> None:
    items, cuts, partitions = job
    groups = [mapped(LISTING, batch) for batch in batches_of(items, cuts)]

    for index, rows in enumerate(shuffled_and_reduced(LISTING, groups, partitions)):
        keys = [encode_key(row["key"]) for row in rows]
        assert set(partitions_of(keys, partitions=partitions)) <= {index}


@settings(max_examples=200)
@given(job=jobs())
def test_the_order_of_rows_does_not_depend_on_the_batches(
    job: tuple[list[Item], list[int], int],
) -> None:
    items, cuts, partitions = job
    one_batch = shuffled_and_reduced(LISTING, [mapped(LISTING, items)], partitions)

    groups = [mapped(LISTING, batch) for batch in batches_of(items, cuts)]
    several = shuffled_and_reduced(LISTING, groups, partitions)

    assert [[exactly(row) for row in rows] for rows in several] == [
        [exactly(row) for row in rows] for rows in one_batch
    ]


def test_the_order_of_strings_does_not_depend_on_other_keys_of_their_batch() -> None:
    texts = ["a" + "!" * length for length in range(20)]
    strings: list[Item] = [[(text, 0)] for text in texts]
    others: list[Item] = [[(number, 0)] for number in range(20)]

    apart = shuffled_and_reduced(LISTING, [mapped(LISTING, strings), mapped(LISTING, others)], 2)
    together = shuffled_and_reduced(LISTING, [mapped(LISTING, strings + others)], 2)
    only_strings_apart = shuffled_and_reduced(LISTING, [mapped(LISTING, strings)], 64)
    only_strings_together = shuffled_and_reduced(LISTING, [mapped(LISTING, strings + others)], 64)

    assert together == apart
    for before, after in zip(only_strings_apart, only_strings_together, strict=True):
        if not any(type(row["key"]) is int for row in after):
            assert after == before


@pytest.mark.parametrize("keys", [TEXTS, INT64], ids=["strings", "integers"])
def test_rows_are_in_key_order(keys: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=100)
    @given(drawn=st.lists(keys, max_size=30))
    def check(drawn: list[Any]) -> None:
        groups = mapped(LISTING, [[(key, 0)] for key in drawn])
        [rows] = shuffled_and_reduced(LISTING, [groups], 1)
        assert [row["key"] for row in rows] == sorted(set(drawn))

    check()


@settings(max_examples=100)
@given(job=jobs())
async def test_an_async_map_gives_the_same_pieces_as_a_plain_one(
    job: tuple[list[Item], list[int], int],
) -> None:
    items, _, partitions = job
    program = Program(name="waiting", map=pairs_of_async, reduce=all_values)

    groups = await map_batch_async(program, items, context(items))

    assert groups.to_piece(partitions) == mapped(LISTING, items).to_piece(partitions)


async def test_async_items_that_end_in_another_order_keep_their_places() -> None:
    last_has_ended = asyncio.Event()
    count = ITEMS_AT_ONCE

    async def wait_for_the_last(item: int, ctx: Context) -> list[Pair]:
        if item == count - 1:
            last_has_ended.set()
        await last_has_ended.wait()
        return [("k", item)]

    program = Program(name="late", map=wait_for_the_last, reduce=all_values)

    groups = await map_batch_async(program, range(count), context())

    [[row]] = shuffled_and_reduced(program, [groups], 1)
    assert row["value"] == list(range(count))


async def test_a_slow_async_item_holds_no_other_up() -> None:
    last_has_ended = asyncio.Event()
    count = 2 * ITEMS_AT_ONCE + 1

    async def wait_for_the_last(item: int, ctx: Context) -> list[Pair]:
        if item == 0:
            async with asyncio.timeout(10):
                await last_has_ended.wait()
        if item == count - 1:
            last_has_ended.set()
        return [("k", item)]

    program = Program(name="slow", map=wait_for_the_last, reduce=all_values)

    groups = await map_batch_async(program, range(count), context())

    [[row]] = shuffled_and_reduced(program, [groups], 1)
    assert row["value"] == list(range(count))


async def test_only_so_many_async_items_are_on_their_way() -> None:
    waiting, most = 0, 0

    async def wait(item: int, ctx: Context) -> None:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0)
        waiting -= 1

    program = Program(name="waiting", map=wait, reduce=all_values)

    await map_batch_async(program, range(3 * ITEMS_AT_ONCE), context())

    assert most == ITEMS_AT_ONCE


async def test_an_async_generator_maps_as_well() -> None:
    async def twice(item: int, ctx: Context) -> AsyncIterator[Pair]:
        yield "k", item
        yield "k", item

    program = Program(name="twice", map=twice, reduce=all_values)

    groups = await map_batch_async(program, [1, 2], context())

    [[row]] = shuffled_and_reduced(program, [groups], 1)
    assert row["value"] == [1, 1, 2, 2]


WORDS = {"ab": 1, "cd": 2, "x": 3}


@pytest.mark.parametrize("mapping", [WORDS, Counter(WORDS)])
def test_a_batch_may_be_mapped_to_a_mapping(mapping: Mapping[str, int]) -> None:
    program = Program(name="m", map_batch=lambda items, ctx: mapping, reduce=all_values)

    rows = shuffled_and_reduced(program, [mapped(program, ["i"])], 1)

    assert rows == [[{"key": key, "value": [value]} for key, value in sorted(WORDS.items())]]


async def test_a_batch_may_be_mapped_to_a_mapping_by_an_async_program() -> None:
    async def words(items: list[str], ctx: Context) -> Mapping[str, int]:
        return WORDS

    program = Program(name="m", map_batch=words, reduce=all_values)

    groups = await map_batch_async(program, ["i"], context())

    rows = shuffled_and_reduced(program, [groups], 1)
    assert rows == [[{"key": key, "value": [value]} for key, value in sorted(WORDS.items())]]


def test_a_mapping_with_exotic_keys_keeps_them_apart() -> None:
    program = Program(
        name="m", map_batch=lambda items, ctx: {1: "a", "1": "b", None: "c"}, reduce=all_values
    )

    found = by_key(shuffled_and_reduced(program, [mapped(program, ["i"])], 1))

    assert found == {b"1": b'["a"]', b'"1"': b'["b"]', b"null": b'["c"]'}


def test_keys_that_only_look_like_strings_are_their_json() -> None:
    class Colour(StrEnum):
        RED = "red"

    items: list[Item] = [[("red", 1)], [(Colour.RED, 2)], [("red", 3)]]

    [[row]] = shuffled_and_reduced(LISTING, [mapped(LISTING, items)], 1)

    assert row == {"key": "red", "value": [1, 2, 3]}


@pytest.mark.parametrize("nothing", [None, (), [], {}])
def test_an_item_may_be_mapped_to_nothing(nothing: Any) -> None:
    program = Program(name="none", map=lambda item, ctx: nothing, reduce=all_values)

    groups = mapped(program, [1, 2])

    assert groups.pairs == 0
    assert shuffled_and_reduced(program, [groups], 3) == [[], [], []]


def test_no_items_give_no_rows() -> None:
    assert shuffled_and_reduced(LISTING, [], 2) == [[], []]
    assert shuffled_and_reduced(LISTING, [mapped(LISTING, [])], 2) == [[], []]


def test_a_reduce_that_returns_a_mapping_names_the_columns() -> None:
    program = Program(
        name="columns", map=pairs_of, reduce=lambda key, values, ctx: {"k": key, "n": len(values)}
    )

    [rows] = shuffled_and_reduced(program, [mapped(program, [[("a", 1), ("a", 1)]])], 1)

    assert rows == [{"k": "a", "n": 2}]


def test_many_pairs_are_combined_on_the_way_without_looking_at_all_keys_each_time() -> None:
    looks = 0

    def total(key: int, values: list[int], ctx: Context) -> int:
        nonlocal looks
        looks += 1
        return sum(values)

    def many(items: Sequence[int], ctx: Context) -> Iterator[Pair]:
        for key in range(COMBINE_EVERY_PAIRS):
            yield key, 1
        for _ in range(50):
            yield 0, 1

    program = Program(name="many", map_batch=many, combine=total, reduce=total)

    groups = mapped(program, [0])

    assert groups.pairs == COMBINE_EVERY_PAIRS
    assert looks < 5


# ---- map-only


def rows_of(item: int, ctx: Context) -> Iterator[Any]:
    yield {"item": item}
    yield item


def test_a_map_only_program_gives_rows_in_the_order_of_items() -> None:
    program = Program(name="rows", map=rows_of)

    rows = list(map_rows(program, [1, 2], context()))

    assert rows == [{"item": 1}, {"value": 1}, {"item": 2}, {"value": 2}]


async def test_an_async_map_only_program_gives_the_same_rows() -> None:
    async def rows_of_async(item: int, ctx: Context) -> AsyncIterator[Any]:
        for row in rows_of(item, ctx):
            yield row

    program = Program(name="rows", map=rows_of_async)

    rows = [row async for row in map_rows_async(program, [1, 2], context())]

    assert rows == list(map_rows(Program(name="rows", map=rows_of), [1, 2], context()))


# ---- finish


def test_a_program_without_finish_leaves_the_rows_alone() -> None:
    assert finish_rows(LISTING, iter([{"a": 1}]), context()) is None


def test_a_finish_that_returns_its_rows_leaves_them_alone() -> None:
    program = Program(name="same", map=pairs_of, finish=lambda rows, ctx: rows)

    assert finish_rows(program, iter([{"a": 1}]), context()) is None


def test_a_finish_may_return_fewer_rows_or_none() -> None:
    first = Program(name="first", map=pairs_of, finish=lambda rows, ctx: [next(rows)])
    nothing = Program(name="nothing", map=pairs_of, finish=lambda rows, ctx: None)

    assert list(finish_rows(first, iter([{"a": 1}, {"a": 2}]), context()) or ()) == [{"a": 1}]
    assert list(finish_rows(nothing, iter([{"a": 1}]), context()) or ()) == []


# ---- who is to blame


def broken_map(item: int, ctx: Context) -> Iterator[Pair]:
    yield "fine", 1
    if item == 2:
        raise ValueError("two is too much")


def broken(*_: Any) -> Any:
    raise ValueError("not today")


def line_of(function: Callable[..., Any], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


def run_all(program: Program) -> None:
    """Take three items through a whole job of one batch and one partition."""
    [rows] = shuffled_and_reduced(program, [mapped(program, [1, 2, 3])], 1)
    finished = finish_rows(program, iter(rows), context())
    list(finished or ())


def test_a_map_that_raises_is_reported_with_program_line_and_item() -> None:
    program = Program(name="broken", map=broken_map, reduce=all_values)

    with pytest.raises(UserCodeError) as caught:
        run_all(program)

    assert caught.value.message == (
        "map of broken raised ValueError: two is too much"
        f" (test_kernel.py, line {line_of(broken_map, 3)}), at inline[1]"
    )
    assert caught.value.retryable
    assert caught.value.code == "USER_CODE"


def test_the_line_is_the_programs_own_though_a_library_raised() -> None:
    def parse(item: int, ctx: Context) -> list[Pair]:
        return [("k", datetime.strptime("x", "%Y").replace(tzinfo=UTC).year)]

    with pytest.raises(UserCodeError) as caught:
        run_all(Program(name="p", map=parse, reduce=all_values))

    assert f"(test_kernel.py, line {line_of(parse, 1)})" in caught.value.message


@pytest.mark.parametrize("name", ["map_batch", "combine", "reduce", "finish"])
def test_every_function_is_named_when_it_raises(name: str) -> None:
    functions: dict[str, Any] = {
        "map_batch": lambda items, ctx: [("k", 1), ("k", 2)],
        "combine": lambda key, values, ctx: 1,
        "reduce": all_values,
        "finish": lambda rows, ctx: rows,
    }

    with pytest.raises(UserCodeError) as caught:
        run_all(Program(name="p", **{**functions, name: broken}))

    line = line_of(broken, 1)
    assert caught.value.message == (
        f"{name} of p raised ValueError: not today (test_kernel.py, line {line})"
    )


def test_a_finish_that_raises_half_way_is_reported() -> None:
    def half(rows: Iterator[Row], ctx: Context) -> Iterator[Row]:
        yield next(rows)
        raise ValueError("half way")

    with pytest.raises(UserCodeError, match="finish of p raised ValueError: half way"):
        run_all(Program(name="p", map=lambda i, ctx: [(i, 1)], reduce=all_values, finish=half))


def test_a_map_only_program_that_raises_is_reported() -> None:
    with pytest.raises(UserCodeError, match=r"map of p raised ValueError.*at inline\[1\]"):
        list(map_rows(Program(name="p", map=broken_map), [1, 2], context([1, 2])))


def hopeless(item: Any, ctx: Context) -> list[Pair]:
    raise NonRetryable("never")


async def hopeless_async(item: Any, ctx: Context) -> list[Pair]:
    raise NonRetryable("never")


def test_what_a_program_calls_hopeless_is_not_tried_again() -> None:
    with pytest.raises(UserCodeError, match="map of p raised NonRetryable: never") as caught:
        mapped(Program(name="p", map=hopeless, reduce=all_values), [1])

    assert not caught.value.retryable


async def test_what_an_async_program_calls_hopeless_is_not_tried_again() -> None:
    program = Program(name="p", map=hopeless_async, reduce=all_values)

    with pytest.raises(UserCodeError, match="map of p raised NonRetryable: never") as caught:
        await map_batch_async(program, [1, 2], context())

    assert not caught.value.retryable


async def test_an_async_map_that_raises_is_reported_with_line_and_item() -> None:
    async def fail_at_two(item: int, ctx: Context) -> list[Pair]:
        await asyncio.sleep(0)
        if item == 2:
            raise ValueError("two is too much")
        await asyncio.Event().wait()
        return []

    program = Program(name="p", map=fail_at_two, reduce=all_values)

    with pytest.raises(UserCodeError) as caught:
        await map_batch_async(program, [1, 2, 3], context([1, 2, 3]))

    assert caught.value.message == (
        "map of p raised ValueError: two is too much"
        f" (test_kernel.py, line {line_of(fail_at_two, 3)}), at inline[1]"
    )


async def test_an_async_map_that_ends_as_cancelled_has_failed() -> None:
    async def await_a_cancelled_task(item: int, ctx: Context) -> list[Pair]:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task
        return []

    program = Program(name="p", map=await_a_cancelled_task, reduce=all_values)

    with pytest.raises(UserCodeError, match="map of p raised CancelledError"):
        await map_batch_async(program, [1], context())


async def test_a_cancelled_attempt_stays_cancelled() -> None:
    begun = asyncio.Event()

    async def wait(item: int, ctx: Context) -> list[Pair]:
        begun.set()
        await asyncio.Event().wait()
        return []

    program = Program(name="p", map=wait, reduce=all_values)
    attempt = asyncio.create_task(map_batch_async(program, [1, 2], context()))
    await begun.wait()

    attempt.cancel()

    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_a_source_that_has_gone_is_told_as_such_by_async_maps_too() -> None:
    def gone(position: int) -> InlinePlace:
        raise SourceError("a.txt: is gone")

    async def look(item: int, ctx: Context) -> list[Pair]:
        return [(str(ctx.place), 1)]

    program = Program(name="p", map=look, reduce=all_values)

    with pytest.raises(SourceError, match="is gone"):
        await map_batch_async(program, [1], Context(params={}, locate=gone))


@pytest.mark.parametrize("pair", [1, "abc", (1, 2, 3), (1,), None, object()])
def test_what_is_not_a_pair_is_refused(pair: Any) -> None:
    program = Program(name="p", map=lambda item, ctx: [pair], reduce=all_values)

    with pytest.raises(
        OutputError, match=r"is not a \(key, value\) pair, at inline\[0\]"
    ) as caught:
        mapped(program, [1])

    assert not caught.value.retryable


@pytest.mark.parametrize("returned", [5, 2.5, object()])
def test_a_map_that_returns_no_pairs_at_all_is_reported(returned: Any) -> None:
    with pytest.raises(TaskError, match="map of p"):
        mapped(Program(name="p", map=lambda item, ctx: returned, reduce=all_values), [1])


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


NOT_JSON: dict[str, Any] = {
    "nan": math.nan,
    "infinity": -math.inf,
    "a list with nan": [1, {"a": math.nan}],
    "a set": {1},
    "bytes": b"a",
    "a datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "a huge integer": 2**64,
    "a hugely negative integer": -(2**63) - 1,
    "a lone surrogate": "\ud800",
    "a lone surrogate within": ["\udfff"],
    "numbers as names": {1: 2},
    "an object": object(),
    "a complex number": 1j,
    "lists within lists": nested(100_000),
}
not_json = pytest.mark.parametrize("bad", NOT_JSON.values(), ids=NOT_JSON.keys())


@not_json
@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("company", [[], [("fine", "fine")], [(1, 1)]], ids=["alone", "str", "int"])
def test_keys_that_json_cannot_hold_are_refused(
    bad: Any, partitions: int, company: list[Pair]
) -> None:
    with pytest.raises(OutputError):
        mapped(LISTING, [[*company, (bad, 1)]]).to_piece(partitions)


@not_json
@pytest.mark.parametrize("company", [[], [("fine", "fine")], [(1, 1)]], ids=["alone", "str", "int"])
def test_values_that_json_cannot_hold_are_refused(bad: Any, company: list[Pair]) -> None:
    with pytest.raises(OutputError):
        mapped(LISTING, [[*company, ("k", bad)]]).to_piece(2)


@not_json
def test_a_mapping_of_them_is_refused_too(bad: Any) -> None:
    program = Program(name="m", map_batch=lambda items, ctx: {"a": bad}, reduce=all_values)

    with pytest.raises(OutputError):
        mapped(program, [1]).to_piece(2)


def test_nulls_that_mean_none_are_kept() -> None:
    items: list[Item] = [[(None, None)], [("a", [None, "null"])], [("a", None)]]

    found = by_key(shuffled_and_reduced(LISTING, [mapped(LISTING, items)], 2))

    assert {key: decode(value) for key, value in found.items()} == {
        b"null": [None],
        b'"a"': [[None, "null"], None],
    }


def test_an_exception_that_says_much_is_cut_short() -> None:
    def shout(item: int, ctx: Context) -> None:
        raise ValueError("x" * 1_000_000)

    with pytest.raises(UserCodeError) as caught:
        mapped(Program(name="p", map=shout, reduce=all_values), [1])

    assert len(caught.value.message) <= 4_096
