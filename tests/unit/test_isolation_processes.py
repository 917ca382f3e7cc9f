"""Items that end their process, or never end: found by what the process left behind."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.isolation.mark import Mark, mark_path
from engine.job import JobId, TaskId
from engine.result import Manifest, read_all
from engine.spec import parse_spec
from workers.task_process import AttemptFailed, TaskProcess

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]

CHILD = """
import asyncio, ctypes, os, socket, sys
from pathlib import Path
from adapters.obstore.blobs import ObstoreBlobs
from engine.catalog import Catalog
from engine.output.destination import Destinations
from engine.program import Program
from engine.source.sources import Sources
from engine.steps import Steps
from workers.serve import serve_at_once, serve_in_turn

lane, blobs, scratch = sys.argv[1], sys.argv[2], Path(sys.argv[3])

def act(item):
    match item:
        case "exit":
            os._exit(3)
        case "leave":
            sys.exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "loop":
            while True:
                pass
        case "raise":
            raise ValueError("no")

def each(item, ctx):
    ctx.count("items")
    act(item)
    yield {"item": item}

def every(items, ctx):
    for item in items:
        yield from each(item, ctx)

async def each_async(item, ctx):
    await asyncio.sleep(0)
    if item == "wait":
        await asyncio.Event().wait()
    return list(each(item, ctx))

async def every_async(items, ctx):
    return [row for item in items for row in await each_async(item, ctx)]

programs = [
    Program(name="map", map=each),
    Program(name="batch", map_batch=every),
    Program(name="async", map=each_async),
    Program(name="async_batch", map_batch=every_async),
]
steps = Steps(
    catalog=Catalog({program.name: program for program in programs}),
    blobs=ObstoreBlobs.local(Path(blobs)),
    sources=Sources({}),
    destinations=Destinations({}),
    scratch=scratch,
    inline_result_bytes=0,
)
connection = socket.socket(fileno=int(sys.argv[4]))
if lane == "loop":
    asyncio.run(serve_at_once(connection, steps))
else:
    serve_in_turn(connection, steps)
"""


class House:
    """A task process of each lane, over the same programs."""

    def __init__(self, folder: Path, *, longest_s: float | None = None) -> None:
        self.longest_s = longest_s
        self.scratch = folder / "scratch"
        self._script = folder / "child.py"
        self._script.write_text(CHILD)
        self._blobs = folder / "blobs"
        self._processes: dict[str, TaskProcess] = {}

    def process(self, lane: str) -> TaskProcess:
        if lane not in self._processes:
            self._processes[lane] = TaskProcess(
                [sys.executable, str(self._script), lane, str(self._blobs)],
                environment={"PYTHONPATH": str(ROOT)},
                scratch=self.scratch / lane,
                one_at_a_time=lane == "process",
                longest_s=self.longest_s,
            )
        return self._processes[lane]

    async def run(
        self, program: str, items: Sequence[Any], *, timeout_s: float | None = None, **policy: Any
    ) -> Outcome:
        spec = {
            "program": program,
            "source": {"inline": []},
            "failurePolicy": {"badItems": "SKIP", "toleratedFailureCount": 100, **policy},
        }
        attempt = Attempt(
            job=JobId("j-1"),
            task=TaskId("map-0"),
            number=3,
            spec=parse_spec(spec).to_json(),
            batch=Batch(items=tuple(items)),
            timeout_s=timeout_s,
            isolates=True,
        )
        lane = "loop" if program.startswith("async") else "process"
        return await self.process(lane).run(attempt)

    def rows(self, outcome: Outcome) -> list[Any]:
        assert outcome.piece is not None
        manifest = Manifest(JobId("j-1"), (outcome.piece,), exact=True, facts={})
        blobs = ObstoreBlobs.local(self._blobs)
        return [row["item"] for row in read_all(blobs, manifest)]

    async def stop(self) -> None:
        for process in self._processes.values():
            await process.stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.stop()


def shape_of(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(f.location, f.preview, f.error.code) for f in outcome.failures]


@pytest.mark.parametrize("program", ["map", "batch", "async", "async_batch"])
async def test_items_that_end_the_process_are_set_aside(house: House, program: str) -> None:
    rng = random.Random(program)  # noqa: S311 - guards nothing
    items: list[Any] = list(range(12))
    guilty = sorted(rng.sample(range(12), 2))
    for position, how in zip(guilty, ("exit", "segfault"), strict=True):
        items[position] = how

    async with asyncio.timeout(60):
        outcome = await house.run(program, items)

    assert house.rows(outcome) == [item for item in items if isinstance(item, int)]
    assert shape_of(outcome) == [
        (f"inline[{position}]", items[position], "TASK_CRASHED") for position in guilty
    ]
    assert outcome.items == 10
    assert outcome.counters == {"items": 10}
    assert "signal 11" in outcome.failures[1].error.message
    assert {failure.error.task_id for failure in outcome.failures} == {"map-0"}


@pytest.mark.parametrize("program", ["map", "batch"])
async def test_an_item_that_never_ends_is_set_aside(house: House, program: str) -> None:
    async with asyncio.timeout(60):
        outcome = await house.run(program, [1, "raise", "loop", 4], timeout_s=1)

    assert house.rows(outcome) == [1, 4]
    assert sorted(shape_of(outcome)) == [
        ("inline[1]", "raise", "USER_CODE"),
        ("inline[2]", "loop", "TASK_TIMEOUT"),
    ]


@pytest.mark.parametrize("how", ["wait", "loop"])
async def test_an_async_item_that_never_ends_is_set_aside(house: House, how: str) -> None:
    async with asyncio.timeout(60):
        outcome = await house.run("async", [1, how, 3], timeout_s=1)

    assert house.rows(outcome) == [1, 3]
    assert shape_of(outcome) == [("inline[1]", how, "TASK_TIMEOUT")]


async def test_a_program_that_leaves_is_told_from_one_that_raises(house: House) -> None:
    async with asyncio.timeout(60):
        outcome = await house.run("map", ["leave", 2])

    assert shape_of(outcome) == [("inline[0]", "leave", "TASK_CRASHED")]
    assert "exited with 3" in outcome.failures[0].error.message


async def test_an_innocent_item_beside_one_that_ends_the_process_is_not_blamed(
    house: House,
) -> None:
    async with asyncio.timeout(60):
        found = await asyncio.gather(
            house.run("async", ["exit", 2]),
            house.run("async", ["wait", 2], timeout_s=2),
        )

    assert [shape_of(outcome) for outcome in found] == [
        [("inline[0]", "exit", "TASK_CRASHED")],
        [("inline[0]", "wait", "TASK_TIMEOUT")],
    ]


async def test_with_more_guilty_items_than_anybody_wants_the_batch_fails(house: House) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(AttemptFailed, match="exited with 3") as caught:
            await house.run("map", ["exit"] * 30, toleratedFailureCount=0)

    assert caught.value.error.code == "TASK_CRASHED"


def test_a_mark_outlives_the_name_of_its_file(tmp_path: Path) -> None:
    attempt = Attempt(JobId("j-1"), TaskId("map-0"), 1, {})
    path = mark_path(tmp_path, attempt)
    kept = Mark.create(path)
    assert kept.read() is None

    own = Mark.open(path)
    own.enter(3, 7)

    marked = kept.read()
    assert not path.exists()
    assert marked is not None
    assert (marked.start, marked.end) == (3, 7)
    own.leave()
    assert kept.read() is None


async def test_all_runs_of_an_attempt_together_take_no_longer_than_it_may(tmp_path: Path) -> None:
    house = House(tmp_path, longest_s=1.5)
    try:
        with pytest.raises(AttemptFailed, match=r"map-0 ran longer than 1(\.5)? s"):
            await house.run("map", [1, *["loop"] * 50], timeout_s=1)
    finally:
        await house.stop()
