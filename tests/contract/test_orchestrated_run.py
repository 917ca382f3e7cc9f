"""Steps of a run around the ledger in DynamoDB, called as a system may that repeats and loses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from adapters.dynamodb.items import meta_key
from adapters.dynamodb.jobs import DynamoJobs
from adapters.dynamodb.live_runs import DynamoLiveRuns
from adapters.dynamodb.records import DynamoRecords
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.table import DynamoTable
from adapters.obstore.blobs import ObstoreBlobs
from app.aws.step_events import StepEvents
from engine.batch import Batch
from engine.catalog import load_catalog
from engine.entries import Entries
from engine.job import JobError, JobId, TaskKind
from engine.jobs import NewJob
from engine.output.destination import Destinations
from engine.plan_file import TaskReference, read_references
from engine.run_ledger import Phase
from engine.source.sources import Sources
from engine.steps import Steps
from tests.support.jobs import TENANT, inline_job
from tests.support.running import PROGRAMS
from workers.lister import Lister
from workers.orchestrated import OrchestratedRun, Planned, RunOverError, TaskFailedError

pytestmark = pytest.mark.anyio

GONE = JobError("TASK_CRASHED", "the process is gone", retryable=True)


class World:
    """A job store, and what runs its jobs."""

    def __init__(self, table: DynamoTable, folder: Path) -> None:
        self.blobs = ObstoreBlobs.local(folder / "blobs")
        self.table = table
        self.jobs = DynamoJobs(table, self.blobs)
        self.ledger = DynamoRunLedger(table, self.blobs)
        steps = Steps(
            catalog=load_catalog([str(PROGRAMS)]),
            blobs=self.blobs,
            sources=Sources({}),
            destinations=Destinations({}),
            scratch=folder,
            inline_result_bytes=1_000,
        )
        lister = Lister(DynamoRecords(table, self.blobs), self.blobs, folder / "listings")
        self.run = OrchestratedRun(self.ledger, steps, lister, worker="test")

    async def planned(self, new: NewJob) -> tuple[JobId, Planned, list[TaskReference]]:
        job = (await self.jobs.accept(new)).id
        planned = self.run.plan(job)
        assert isinstance(planned, Planned)
        return job, planned, read_references(self.blobs, planned.batches)

    def state(self, job: JobId) -> str:
        meta = self.table.get(meta_key(job))
        assert meta is not None
        return str(meta["state"])


@pytest.fixture
def world(dynamo: DynamoTable, tmp_path: Path) -> World:
    return World(dynamo, tmp_path)


def picky(*items: str, **policy: object) -> NewJob:
    """A job whose program does not like the item ``bad``."""
    source = {"inline": list(items)}
    return inline_job(program="picky", source=source, failurePolicy=policy)


async def test_tasks_that_share_a_call_are_committed_one_by_one(world: World) -> None:
    job, planned, references = await world.planned(picky("a", "bad", "b", toleratedFailureCount=1))

    with pytest.raises(TaskFailedError, match="map-1"):
        world.run.map(job, planned.batches, references)
    shuffled = world.run.shuffle(job)

    assert [piece.rows for piece in world.ledger.pieces(job, TaskKind.MAP)] == [1, 1]
    assert shuffled.phase.kind is TaskKind.REDUCE
    assert world.run.reduce(job, shuffled.index, 0) is None
    assert await to_thread.run_sync(world.run.finish, job) is None
    assert world.state(job) == "PARTIALLY_SUCCEEDED"


async def test_of_tasks_whose_process_died_the_one_under_way_is_charged(world: World) -> None:
    job, planned, references = await world.planned(inline_job(batches=3, failurePolicy=ONCE))
    world.run.map(job, planned.batches, references[:1])
    world.ledger.begin(job, references[1].task, worker="that dies")

    retry = world.run.lost(job, [reference.task for reference in references[1:2]], GONE)

    assert retry is None
    assert world.state(job) == "FAILED"
    with pytest.raises(TaskFailedError, match="map-1"):
        world.run.give_up(job, [references[1].task])


async def test_a_redrive_leads_back_to_what_has_not_ended(world: World) -> None:
    job, planned, references = await world.planned(picky("a", "bad"))
    with pytest.raises(TaskFailedError):
        world.run.map(job, planned.batches, references)
    with pytest.raises(RunOverError):
        world.run.shuffle(job)

    await world.jobs.redrive(TENANT, job, params={"refuses": "none"}, idempotency_key=None)
    world.run.give_up(job, [references[1].task])
    again = world.run.shuffle(job)

    assert again.phase == Phase(TaskKind.MAP, 2, may_fail=False)
    assert world.run.finish(job) == again.phase
    assert world.run.map(job, planned.batches, references) is None
    assert world.run.shuffle(job).phase.kind is TaskKind.REDUCE


async def test_a_late_attempt_leaves_nothing_behind(world: World) -> None:
    job, planned, references = await world.planned(inline_job(batches=1))
    attempt = world.ledger.begin(job, references[0].task, worker="slow")
    assert attempt is not None
    world.run.map(job, planned.batches, references)
    before = sorted(world.blobs.list(f"jobs/{job}/shuffle"))

    late = replace(attempt, batch=Batch(items=("item 0",)))
    assert world.run._run(late, world.run.steps.run) is None

    assert sorted(world.blobs.list(f"jobs/{job}/shuffle")) == before


async def test_a_listing_that_has_changed_ends_the_run(world: World) -> None:
    job, _, _ = await world.planned(inline_job(batches=1, program="lines", map_only=True))
    first = Batch(items=entries("a", "b"))

    assert world.run.map_listed(job, 1, 0, first) is None
    assert world.run.map_listed(job, 1, 0, first) is None
    world.run.map_listed(job, 1, 0, Batch(items=entries("b", "c")))

    assert world.state(job) == "FAILED"
    [status] = await world.jobs.statuses(TENANT, [job])
    assert status is not None
    assert status.error is not None
    assert status.error.code == "SOURCE_CHANGED"


async def test_a_listing_that_has_changed_ends_the_run_that_is_live_whoever_lists(
    world: World,
) -> None:
    job, _, _ = await world.planned(inline_job(batches=1, program="lines", map_only=True))
    events = StepEvents(world.run, "s3://results", DynamoLiveRuns(world.table))
    events.handle(listed(job, "a", "b"))
    world.ledger.end(job, 1, GONE)
    before = sorted(world.blobs.list(f"jobs/{job}"))
    events.handle(listed(job, "b", "c"))  # of a run that is over
    assert sorted(world.blobs.list(f"jobs/{job}")) == before
    await world.jobs.redrive(TENANT, job, params=None, idempotency_key=None)

    events.handle(listed(job, "b", "c"))

    [status] = await world.jobs.statuses(TENANT, [job])
    assert status is not None
    assert status.error is not None
    assert (status.run, status.state, status.error.code) == (2, "FAILED", "SOURCE_CHANGED")


ONCE = {"maxAttempts": 1}


def entries(*names: str) -> Entries:
    uris = [f"s3://bucket/{name}" for name in names]
    return Entries(uris, [1] * len(names), [None] * len(names), [0] * len(names))


def listed(job: JobId, *names: str) -> dict[str, Any]:
    """A step of a child that was given objects of a listing, as the first batch of it."""
    tasks = [
        {"index": index, "key": f"in/{name}", "size": 1, "etag": '"e"', "modified": 0}
        for index, name in enumerate(names)
    ]
    source = {"source": "bucket", "prefix": "in/", "perChild": len(names)}
    return {"step": "map", "job": job, **source, "tasks": tasks}
