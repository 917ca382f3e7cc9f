"""When a job store asks the system that dispatches tasks: to begin a run, repeat it, stop it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.dynamodb.acceptance import SMALL_BATCHES, due
from adapters.dynamodb.items import Due, meta_key
from adapters.dynamodb.jobs import DynamoJobs
from adapters.dynamodb.live_runs import DynamoLiveRuns
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.sweeper import DynamoSweeper
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.writes import Change
from app.aws.step_events import StepEvents
from engine.errors import UnavailableError
from engine.job import JobError, JobId, JobState, TaskId, TaskKind
from engine.jobs import JobUpdate
from engine.ledger import Claim
from engine.runner import Runner
from tests.support.jobs import TENANT, claim_of, files_job, inline_job, outcome_of
from tests.support.memory import MemoryBlobs

pytestmark = pytest.mark.anyio

BROKEN = JobError(code="USER_CODE", message="no")


@dataclass
class Asked:
    """A launcher that keeps what it was asked.

    Attributes:
        is_down: Whether it does not answer.
        resumes: Whether it can repeat a run by itself.
    """

    asked: list[tuple[object, ...]] = field(default_factory=list)
    is_down: bool = False
    resumes: bool = False

    def start(self, job: JobId, run: int, *, is_small: bool) -> None:
        self._note("start", job, run, is_small)

    def resume(self, job: JobId, run: int) -> bool:
        self._note("resume", job, run)
        return self.resumes

    def stop(self, job: JobId, run: int) -> None:
        self._note("stop", job, run)

    def limit(self, job: JobId, run: int, *, max_concurrency: int | None, may_fail: bool) -> None:
        self._note("limit", job, run, max_concurrency, may_fail)

    def _note(self, *words: object) -> None:
        if self.is_down:
            raise UnavailableError("the launcher is out of order")
        self.asked.append(words)


class World:
    """A job store with a launcher for each of two runners."""

    def __init__(self, table: DynamoTable) -> None:
        blobs = MemoryBlobs()
        self.table = table
        self.steps, self.spark = Asked(), Asked()
        launchers = {Runner.STEP_FUNCTIONS: self.steps, Runner.SPARK: self.spark}
        self.jobs = DynamoJobs(table, blobs, launchers=launchers)
        self.sweeper = DynamoSweeper(table, blobs, launchers=launchers)
        self.ledger = DynamoRunLedger(table, blobs)

    async def state(self, job: JobId) -> JobState:
        [status] = await self.jobs.statuses(TENANT, [job])
        assert status is not None
        return status.state

    async def fail(self, job: JobId) -> None:
        """Fail a job of inline items in its map phase."""
        plan = claim_of(job, "plan-0")
        self.ledger.begin(job, plan.task, worker="w")
        self.ledger.commit(plan, outcome_of(plan))
        self.ledger.open(job, TaskKind.MAP)
        self.ledger.begin(job, TaskId("map-0"), worker="w")
        self.ledger.fail(Claim(job, TaskId("map-0"), 1), BROKEN)
        assert await self.state(job) is JobState.FAILED

    async def redriven(self, **spec: Any) -> JobId:
        """Redrive a job, of which a process that was invoked before begins a task.

        What the launchers were asked until then is forgotten.
        """
        new = inline_job(batches=SMALL_BATCHES + 1, failurePolicy={"maxAttempts": 1}, **spec)
        await self.jobs.accept(new)
        await self.fail(new.id)
        self.steps.resumes = True
        await self.jobs.redrive(TENANT, new.id, params=None, idempotency_key=None)
        assert self.ledger.begin(new.id, TaskId("map-1"), worker="invoked before") is not None
        self.steps.asked.clear()
        self.spark.asked.clear()
        return new.id

    async def look(self, job: JobId, run: int) -> None:
        """Sweep when it is time to look whether a run has begun."""
        [item] = self.table.query(f"DUE#{Due.START}")
        self.table.delete((item["pk"], item["sk"]))
        self.table.put(due(Due.START, 1, job, run).item)
        await self.sweeper.sweep()

    def looks(self) -> int:
        """How often somebody is to look yet whether a run has begun."""
        return len(list(self.table.query(f"DUE#{Due.START}")))

    def execution_failed(self, job: JobId, first: int, redrives: int) -> None:
        """Tell of the end of an execution that began with run *first*."""
        given = json.dumps({"job": job, "run": first})
        detail = {"input": given, "status": "FAILED", "redriveCount": redrives, "error": "E"}
        run: Any = SimpleNamespace(ledger=self.ledger)
        events = StepEvents(run, "s3://results", DynamoLiveRuns(self.table))
        events.handle({"detail-type": "Step Functions Execution Status Change", "detail": detail})


@pytest.fixture
def world(dynamo: DynamoTable) -> World:
    return World(dynamo)


async def test_a_job_is_begun_by_what_runs_it(world: World) -> None:
    small, unknown, spark = inline_job(), files_job(), inline_job(runner="SPARK")
    for new in (small, unknown, spark):
        await world.jobs.accept(new)

    assert world.steps.asked == [("start", small.id, 1, True), ("start", unknown.id, 1, False)]
    assert world.spark.asked == [("start", spark.id, 1, True)]


async def test_a_run_that_has_not_begun_in_time_is_begun_by_the_caretaker(world: World) -> None:
    world.steps.is_down = True
    new = inline_job()
    await world.jobs.accept(new)
    world.steps.is_down = False
    assert await world.sweeper.sweep() == 0  # it has a minute

    world.table.put(due(Due.START, 1, new.id, 1).item)
    assert await world.sweeper.sweep() == 1
    assert await world.sweeper.sweep() == 0

    assert world.steps.asked == [("start", new.id, 1, True)]
    world.ledger.begin(new.id, TaskId("plan-0"), worker="w")
    world.table.put(due(Due.START, 1, new.id, 1).item)
    assert await world.sweeper.sweep() == 0  # it has begun


async def test_a_small_run_that_is_not_over_in_time_goes_on_as_any_other(world: World) -> None:
    new = inline_job()
    await world.jobs.accept(new)
    world.ledger.begin(new.id, TaskId("plan-0"), worker="that dies")
    world.table.update(meta_key(new.id), Change({"started": 1}))

    world.table.put(due(Due.START, 1, new.id, 1).item)
    assert await world.sweeper.sweep() == 1

    assert world.steps.asked[1:] == [("start", new.id, 1, False)]


@pytest.mark.parametrize("ends", ["is cancelled", "is out of time"])
async def test_what_has_ended_from_outside_is_stopped(world: World, ends: str) -> None:
    new = inline_job(timeoutSeconds=0.001)
    await world.jobs.accept(new)

    if ends == "is cancelled":
        await world.jobs.cancel(TENANT, new.id, reason=None)
        await world.jobs.cancel(TENANT, new.id, reason=None)
    else:
        while not await world.sweeper.sweep():
            assert await world.state(new.id) is JobState.QUEUED

    assert world.steps.asked[1:] == [("stop", new.id, 1)]


async def test_limits_that_change_are_told_to_what_runs_the_job(world: World) -> None:
    new = inline_job(failurePolicy={"toleratedFailureCount": 2})
    await world.jobs.accept(new)

    await world.jobs.update(TENANT, new.id, JobUpdate(add_tags=("t",)))
    await world.jobs.update(TENANT, new.id, JobUpdate(max_concurrency=7))

    assert world.steps.asked[1:] == [("limit", new.id, 1, 7, True)]


async def test_a_launcher_that_is_down_stops_nobody_from_cancelling(world: World) -> None:
    new = inline_job()
    await world.jobs.accept(new)
    world.steps.is_down = True

    await world.jobs.cancel(TENANT, new.id, reason=None)

    assert await world.state(new.id) is JobState.CANCELLED


@pytest.mark.parametrize("resumes", [True, False])
async def test_a_run_is_repeated_by_what_can_do_so_and_begun_elsewhere(
    world: World, resumes: bool
) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 1})
    await world.jobs.accept(new)
    await world.fail(new.id)
    world.steps.resumes = resumes

    await world.jobs.redrive(TENANT, new.id, params=None, idempotency_key=None)

    started = [] if resumes else [("start", new.id, 2, True)]
    assert world.steps.asked[1:] == [("resume", new.id, 2), *started]


async def test_whether_a_redriven_run_goes_on_that_has_begun_is_asked_once_more(
    world: World,
) -> None:
    job = await world.redriven()
    world.steps.is_down = True
    await world.look(job, 2)
    world.steps.is_down = False
    assert world.steps.asked == []

    await world.look(job, 2)

    assert world.steps.asked == [("resume", job, 2)]
    assert await world.state(job) is JobState.RUNNING
    assert world.looks() == 0


async def test_a_redriven_run_that_cannot_be_resumed_is_begun_anew(world: World) -> None:
    job = await world.redriven()
    world.steps.resumes = False

    await world.look(job, 2)

    assert world.steps.asked == [("resume", job, 2), ("start", job, 2, False)]


async def test_a_redriven_run_that_has_begun_on_spark_is_left_alone(world: World) -> None:
    job = await world.redriven(runner="SPARK")

    await world.look(job, 2)

    assert world.spark.asked == []
    assert world.looks() == 0


@pytest.mark.parametrize(
    ("first", "redrives", "follows"),
    [
        pytest.param(1, 0, "another look", id="by which the run before ended"),
        pytest.param(1, 1, "the end", id="that was redriven for the run"),
        pytest.param(2, 0, "the end", id="of the run's own"),
        pytest.param(1, 2, "the end", id="that somebody else has redriven"),
    ],
)
async def test_an_execution_that_fails_ends_the_run_that_it_was_to_do_and_no_later_one(
    world: World, first: int, redrives: int, follows: str
) -> None:
    job = await world.redriven()

    world.execution_failed(job, first, redrives)
    await world.sweeper.sweep()

    if follows == "the end":
        assert await world.state(job) is JobState.FAILED
        assert world.steps.asked == []
    else:
        assert await world.state(job) is JobState.RUNNING
        assert world.steps.asked == [("resume", job, 2)]
    assert world.looks() == 0


async def test_an_execution_that_fails_after_its_run_changes_nothing(world: World) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 1})
    await world.jobs.accept(new)
    await world.fail(new.id)
    before = world.table.get(meta_key(new.id))

    world.execution_failed(new.id, 1, 0)

    assert world.table.get(meta_key(new.id)) == before
    assert world.looks() == 0
