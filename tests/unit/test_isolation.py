"""Bad items are set aside: the rest gives what it would give alone, and exactly the bad are listed.

For every kind of program in Python; crashes and queries have files of their own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.attempt import Attempt
from engine.context import Context
from engine.errors import NonRetryable, UnavailableError, UserCodeError
from engine.isolation.aside import MAX_LISTED, Aside, preview_of
from engine.isolation.mark import Marked
from engine.isolation.narrow import narrowed
from engine.job import JobError, JobId, TaskId
from engine.program import Program
from engine.spec import FailurePolicy
from tests.support.isolating import Lab

Item = dict[str, Any]
Pair = tuple[Any, Any]

CRASHED = JobError("TASK_CRASHED", "the task's process was killed by signal 11", retryable=True)


def give(item: Item, ctx: Context) -> Iterator[Pair]:
    """Yield a pair for each number; a bad item fails in one of many ways, having yielded some."""
    for number in item["numbers"]:
        ctx.count("numbers")
        yield number % 3, [number]
    if (how := item.get("bad")) is not None:
        ctx.count("never")
        ctx.log("about to fail")
        yield from BAD[how]()


def _divide() -> Iterator[Pair]:
    yield "a", 1 // 0


def _refuse() -> Iterator[Pair]:
    yield "a", 1
    raise NonRetryable("no such customer")


BAD: dict[str, Callable[[], Iterable[Any]]] = {
    "raises": _divide,
    "refuses": _refuse,
    "gives NaN": lambda: [("a", math.nan)],
    "gives a set": lambda: [("a", {1})],
    "gives a bad key": lambda: [({1}, 1)],
    "gives a large number": lambda: [("a", 2**70)],
    "gives no pair": lambda: [7],
    "gives a bad text": lambda: [("a", "\ud800")],
}


def all_of(key: Any, values: list[list[int]], ctx: Context) -> list[int]:
    return sorted(number for part in values for number in part)


def together(items: list[Item], ctx: Context) -> Iterator[Pair]:
    for item in items:
        yield from give(item, ctx)
        item["numbers"].clear()  # what a call has done to its items the next one does not see


async def give_async(item: Item, ctx: Context) -> list[Pair]:
    await asyncio.sleep(0)
    return list(give(item, ctx))


async def together_async(items: list[Item], ctx: Context) -> list[Pair]:
    await asyncio.sleep(0)
    return list(together(items, ctx))


def as_rows(item: Item, ctx: Context) -> Iterator[Any]:
    for pair in give(item, ctx):
        yield {"numbers": sum(pair[1]), "pair": pair[1]} if pair[0] != "a" else {"a": pair[1]}


async def as_rows_async(item: Item, ctx: Context) -> list[Any]:
    return list(as_rows(item, ctx))


PROGRAMS = [
    Program(name="map", map=give, reduce=all_of),
    Program(name="combined", map=give, combine=all_of, reduce=all_of),
    Program(name="batch", map_batch=together, reduce=all_of),
    Program(name="async", map=give_async, reduce=all_of),
    Program(name="async_batch", map_batch=together_async, reduce=all_of),
    Program(name="rows", map=as_rows),
    Program(name="rows_async", map=as_rows_async),
]

GOOD = st.fixed_dictionaries({"numbers": st.lists(st.integers(0, 99), max_size=3)})
WORSE = st.fixed_dictionaries(
    {"numbers": st.lists(st.integers(0, 99), max_size=3), "bad": st.sampled_from(sorted(BAD))}
)
ITEMS = st.lists(st.one_of(GOOD, GOOD, WORSE), max_size=20)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"), *PROGRAMS, *TABLES)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
@settings(max_examples=25, deadline=None)
@given(items=ITEMS, cuts=st.lists(st.integers(1, 25), max_size=3))
def test_the_good_items_count_and_exactly_the_bad_ones_are_listed(
    lab: Lab, program: Program, items: list[Item], cuts: list[int]
) -> None:
    good = [item for item in items if "bad" not in item]
    bad = [index for index, item in enumerate(items) if "bad" in item]
    clean = lab.run(program, good, isolates=False)

    ran = lab.run(program, items, cuts=cuts, batching={"maxItems": 7})

    assert ran.rows == clean.rows
    assert ran.places == [f"inline[{index}]" for index in bad]
    assert [json.loads(failure.preview) for failure in ran.failures] == [items[i] for i in bad]
    assert ran.items == len(good)
    assert ran.counters == clean.counters
    assert {failure.error.code for failure in ran.failures} <= {"USER_CODE", "INVALID_OUTPUT"}


def test_a_failure_names_the_line_of_the_program_and_the_task(lab: Lab) -> None:
    ran = lab.run(PROGRAMS[0], [{"numbers": [], "bad": "raises"}])

    (failure,) = ran.failures
    assert failure.error.task_id == "map-0"
    assert "ZeroDivisionError" in failure.error.message
    assert "test_isolation.py, line" in failure.error.message
    assert "inline[0]" in failure.error.message


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_items_that_ended_the_process_are_not_run_again(lab: Lab, program: Program) -> None:
    items = [{"numbers": [number]} for number in range(6)]

    ran = lab.run(program, items, aside=[(2, CRASHED), (5, CRASHED), (9, CRASHED)])

    assert ran.rows == lab.run(program, [items[i] for i in (0, 1, 3, 4)]).rows
    assert ran.places == ["inline[2]", "inline[5]"]
    assert {failure.error.code for failure in ran.failures} == {"TASK_CRASHED"}


def test_a_fault_of_the_service_is_nobodys(tmp_path: Path) -> None:
    def lose(item: Any, ctx: Context) -> list[Pair]:
        raise UnavailableError("the disk does not answer")

    program = Program(name="lose", map=lose)

    with pytest.raises(UnavailableError):
        Lab(tmp_path, program).run(program, ["a"])


# ------------------------------------------------------------------ tables


def table_pairs(table: pa.Table, ctx: Context) -> Iterator[Pair]:
    ctx.count("rows", table.num_rows)
    for n in table.column("n").to_pylist():
        if n >= 100:
            raise ValueError("too large")
        yield n % 3, [n]


def table_of_pairs(table: pa.Table, ctx: Context) -> pa.Table:
    found = list(table_pairs(table, ctx))
    return pa.table({"key": [key for key, _ in found], "value": [value for _, value in found]})


def table_of_rows(table: pa.Table, ctx: Context) -> pa.Table:
    if table.num_rows and pc.call_function("max", [table.column("n")]).as_py() >= 100:
        raise ValueError("too large")
    return table.append_column("double", pa.array([2 * n for n in table["n"].to_pylist()]))


TABLES = [
    Program(name="table_pairs", map_batch=table_pairs, reduce=all_of, columnar=True),
    Program(name="table_of_pairs", map_batch=table_of_pairs, reduce=all_of, columnar=True),
    Program(name="table_of_rows", map_batch=table_of_rows, columnar=True),
]


@pytest.mark.parametrize("program", TABLES, ids=lambda program: program.name)
@settings(max_examples=8, deadline=None)
@given(numbers=st.lists(st.integers(0, 120), min_size=1, max_size=15))
def test_rows_of_tables_are_told_apart(lab: Lab, program: Program, numbers: list[int]) -> None:
    good = [{"n": n} for n in numbers if n < 100]
    bad = [index for index, n in enumerate(numbers) if n >= 100]

    ran = lab.run(program, [{"n": n} for n in numbers])

    if good:
        clean = lab.run(program, good, isolates=False)
        assert (ran.rows, ran.counters) == (clean.rows, clean.counters)
    assert ran.places == [f"inline[{index}]" for index in bad]
    assert [json.loads(failure.preview)["n"] for failure in ran.failures] == [
        numbers[index] for index in bad
    ]
    assert ran.items == len(good)


def test_records_of_a_table_that_cannot_be_read_are_set_aside(lab: Lab) -> None:
    source = lab.file("t.jsonl", b'{"n": 1}\nno json\n{"n": 200}\n{"n": 4}\n')

    ran = lab.run(TABLES[0], source)

    assert ran.rows == [{"key": 1, "value": [1, 4]}]
    assert sorted(ran.places) == ["t.jsonl, byte 9", "t.jsonl, row 2"]
    assert ran.items == 2


# ------------------------------------------------------------------ records that are none


def listed(item: Any, ctx: Context) -> Iterator[Any]:
    yield {"item": item}


LISTED = Program(name="listed", map=listed)


@pytest.mark.parametrize(
    ("name", "content", "items", "places", "previews"),
    [
        (
            "a.jsonl",
            b'1\nno\n\n{"a": 2}\n{"a": \xff}\n3\n{',
            [1, {"a": 2}, 3],
            ["a.jsonl, byte 2", "a.jsonl, byte 15", "a.jsonl, byte 26"],
            ["no", '{"a": \ufffd}', "{"],
        ),
        (
            "a.txt",
            b"one\nt\xffo\n\nthree\r\n\xfe",
            ["one", "", "three"],
            ["a.txt, byte 4", "a.txt, byte 16"],
            ["t\ufffdo", "\ufffd"],
        ),
        (
            "a.csv",
            b'a,b\n1,2\n3\n"4\n",5\n6,7,8\n\xff,9\n10,11\n',
            [{"a": "1", "b": "2"}, {"a": "4\n", "b": "5"}, {"a": "10", "b": "11"}],
            ["a.csv, byte 8", "a.csv, byte 17", "a.csv, byte 23"],
            ["3", "6,7,8", "\ufffd,9"],
        ),
        (
            "a.json",
            b'[1, {"a": 2}, nonsense, 3]',
            [],
            ["a.json"],
            [""],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_set_aside(
    tmp_path: Path, name: str, content: bytes, items: list[Any], places: list[str], previews: Any
) -> None:
    lab = Lab(tmp_path, LISTED)

    ran = lab.run(LISTED, lab.file(name, content))

    assert [row["item"] for row in ran.rows] == items
    assert ran.places == places
    assert [failure.preview for failure in ran.failures] == previews
    assert {failure.error.code for failure in ran.failures} == {"INVALID_RECORD"}
    assert ran.items == len(items)


def test_what_a_broken_archive_gave_before_it_broke_counts(tmp_path: Path) -> None:
    lab = Lab(tmp_path, LISTED)
    lines = b"".join(b"%d %s\n" % (n, b"x" * 100) for n in range(30_000))
    source = lab.file("a.txt.gz", gzip.compress(lines)[:-2_000])

    ran = lab.run(LISTED, source)

    assert 0 < ran.items < 30_000
    assert ran.rows == [{"item": line} for line in lines.decode().splitlines()[: ran.items]]
    assert ran.places == ["a.txt.gz"]


def test_an_item_after_unreadable_records_is_found_at_its_place(tmp_path: Path) -> None:
    def refuse(item: Any, ctx: Context) -> list[Any]:
        if item == 5:
            raise ValueError("five")
        return [{"item": item}]

    program = Program(name="refuse", map=refuse)
    lab = Lab(tmp_path, program)

    ran = lab.run(program, lab.file("a.jsonl", b"1\nbad\n5\n6\n"))

    assert sorted(ran.places) == ["a.jsonl, byte 2", "a.jsonl, byte 6"]
    assert [row["item"] for row in ran.rows] == [1, 6]


# ------------------------------------------------------------------ what is listed


def test_previews_are_cut_between_characters() -> None:
    assert preview_of("é" * 5_000) == "é" * 2_048
    assert len(preview_of({"a": "x" * 9_000}).encode()) == 4_096
    assert preview_of(b"\xff") == "\ufffd"
    assert preview_of("\ud800") == "?"


def test_more_failures_than_are_listed_are_one_that_counts_them() -> None:
    aside = Aside(TaskId("map-3"))

    for number in range(MAX_LISTED + 500):
        aside.add(f"inline[{number}]", number, UserCodeError("no"))

    failures = aside.failures()
    assert len(failures) == MAX_LISTED
    assert sum(failure.items for failure in failures) == aside.items == MAX_LISTED + 500
    assert failures[-1].location == "501 more items of map-3"


# ------------------------------------------------------------------ who ended the process

TOLERANT = FailurePolicy(tolerated_failure_count=3)


def attempt(**more: Any) -> Attempt:
    return Attempt(JobId("j-1"), TaskId("map-0"), 3, {}, isolates=True, timeout_s=10, **more)


def test_the_only_item_under_way_is_to_blame() -> None:
    found = narrowed(attempt(), Marked(4, 5, for_s=0), CRASHED, TOLERANT)

    assert found is not None
    assert found.aside == ((4, CRASHED),)


def test_of_several_items_under_way_halves_are_run() -> None:
    found = narrowed(attempt(cuts=(8,)), Marked(2, 8, for_s=0), CRASHED, TOLERANT)

    assert found is not None
    assert found.cuts == (2, 5, 8)
    assert found.aside == ()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_narrowing_finds_the_guilty_one(size: int) -> None:
    guilty = size // 3
    tried = attempt()
    for _ in range(20):
        if tried.aside:
            break
        bounds = sorted({0, size, *tried.cuts})
        start = max(bound for bound in bounds if bound <= guilty)
        end = min(bound for bound in bounds if bound > guilty)
        found = narrowed(tried, Marked(start, end, for_s=9), CRASHED, TOLERANT)
        assert found is not None
        tried = found

    assert [position for position, _ in tried.aside] == [guilty]


def test_nobody_is_blamed_when_nothing_was_under_way() -> None:
    assert narrowed(attempt(), None, CRASHED, TOLERANT) is None


def test_an_item_that_had_little_of_the_time_is_not_to_blame_for_its_end() -> None:
    late = JobError("TASK_TIMEOUT", "map-0 ran longer than 10 s", retryable=True)

    assert narrowed(attempt(), Marked(4, 5, for_s=0.5), late, TOLERANT) is None
    assert narrowed(attempt(), Marked(4, 5, for_s=5), late, TOLERANT) is not None


def test_no_more_are_looked_for_than_are_tolerated_by_a_few() -> None:
    many = tuple((position, CRASHED) for position in range(13))
    share = FailurePolicy(tolerated_failure_percentage=50)

    assert narrowed(attempt(aside=many), Marked(50, 51, for_s=0), CRASHED, TOLERANT) is None
    assert narrowed(attempt(aside=many), Marked(50, 51, for_s=0), CRASHED, share) is not None
