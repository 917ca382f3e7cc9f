"""What the ledger promises to runners that dispatch by themselves: see ``engine/run_ledger.py``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Event
from typing import TYPE_CHECKING

import pytest
from boto3.dynamodb.conditions import ConditionBase

from adapters.dynamodb.items import counters_key, meta_key
from adapters.dynamodb.jobs import DynamoJobs
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.table import DynamoTable, connect
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import Change, ItemKey
from engine.attempt import Attempt, Outcome
from engine.errors import UnavailableError
from engine.job import ItemFailure, Job, JobError, JobId, JobPhase, JobState, TaskId, TaskKind
from engine.jobs import NewJob
from engine.ledger import Claim, Verdict
from engine.run_ledger import Retry
from tests.support.jobs import BROKEN, TENANT, claim_of, files_job, inline_job, outcome_of
from tests.support.memory import MemoryBlobs
from tests.support.ministack import ENVIRON

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio

CRASHED = JobError(code="TASK_CRASHED", message="the process died", retryable=True)
HOPELESS = JobError(code="INVALID_RECORD", message="line 3 is no JSON")


class Run:
    """A job in the table, driven as a runner would."""

    def __init__(self, table: DynamoTable) -> None:
        blobs = MemoryBlobs()
        self.table = table
        self.jobs = DynamoJobs(table, blobs)
        self.ledger = DynamoRunLedger(table, blobs)
        self.id = JobId("")

    async def accept(self, new: NewJob) -> None:
        self.id = (await self.jobs.accept(new)).id

    async def planned(self, new: NewJob, batches: int = 2) -> None:
        """Accept a job and open its map phase."""
        await self.accept(new)
        self.do("plan-0", Outcome(plan_batches=batches, plan_bytes=20, reducers=1))
        assert self.ledger.open(self.id, TaskKind.MAP) is not None

    def begin(self, task: str, known_items: int = 1) -> Attempt:
        task_id = TaskId(task)
        attempt = self.ledger.begin(self.id, task_id, worker="w1", known_items=known_items)
        assert attempt is not None
        return attempt

    def begin_claim(self, task: str) -> Claim:
        attempt = self.begin(task)
        return Claim(attempt.job, attempt.task, attempt.number)

    def do(self, task: str, outcome: Outcome | None = None) -> Verdict:
        claim = self.begin_claim(task)
        return self.ledger.commit(claim, outcome or outcome_of(claim))

    async def job(self) -> Job:
        [found] = await self.jobs.get(TENANT, [self.id])
        assert found is not None
        return found


@pytest.fixture
def run(dynamo: DynamoTable) -> Run:
    return Run(dynamo)


def skipping(claim: Claim, failed: int, items: int = 1) -> Outcome:
    whole = outcome_of(claim, items=items)
    failures = tuple(ItemFailure(f"inline[{i}]", "item", HOPELESS) for i in range(failed))
    return Outcome(items=items, bytes_read=5, piece=whole.piece, failures=failures)


async def test_a_job_goes_from_its_plan_to_its_result(run: Run) -> None:
    await run.planned(files_job())
    for task in ("map-0", "map-1"):
        assert run.do(task) is Verdict.ACCEPTED

    phase = run.ledger.open(run.id, TaskKind.REDUCE)
    assert phase is not None
    assert phase.tasks == 1
    assert [piece.name for piece in run.ledger.pieces(run.id, TaskKind.MAP)] == [
        f"jobs/{run.id}/map-0-a1",
        f"jobs/{run.id}/map-1-a1",
    ]
    run.do("reduce-0")
    run.ledger.open(run.id, TaskKind.FINISH)
    attempt = run.begin("finish-0")
    run.ledger.commit(claim_of(run.id, "finish-0"), outcome_of(claim_of(run.id, "finish-0")))

    status = (await run.job()).status
    assert (status.state, status.phase) == (JobState.SUCCEEDED, JobPhase.DONE)
    assert status.result == [{"key": "a"}]
    assert (status.items.succeeded, status.bytes_read, status.map.succeeded) == (2, 10, 2)
    assert attempt.job_summary["items"] == 2


async def test_whoever_held_a_task_before_is_fenced(run: Run) -> None:
    await run.planned(files_job())
    late, present = run.begin_claim("map-0"), run.begin_claim("map-0")

    assert run.ledger.commit(late, outcome_of(late)) is Verdict.FENCED
    assert run.ledger.fail(late, BROKEN) is None
    assert run.ledger.commit(present, outcome_of(present)) is Verdict.ACCEPTED

    assert (late.number, present.number) == (1, 2)
    status = (await run.job()).status
    assert (status.map.running, status.map.succeeded, status.map.retried) == (0, 1, 1)


async def test_a_task_is_committed_once_and_taken_no_more(run: Run) -> None:
    await run.planned(files_job())
    claim = run.begin_claim("map-0")
    run.ledger.commit(claim, outcome_of(claim))
    before = (await run.job()).status

    assert run.ledger.commit(claim, outcome_of(claim)) is Verdict.REPEATED
    assert run.ledger.begin(run.id, claim.task, worker="w2") is None
    assert run.ledger.lost(run.id, claim.task, CRASHED) is None

    assert (await run.job()).status == before


async def test_an_attempt_at_a_cancelled_job_comes_to_nothing(run: Run) -> None:
    await run.planned(files_job())
    claim = run.begin_claim("map-0")
    await run.jobs.cancel(TENANT, run.id, reason="enough")

    assert run.ledger.commit(claim, outcome_of(claim)) is Verdict.FENCED
    assert run.ledger.begin(run.id, TaskId("map-1"), worker="w1") is None
    assert run.ledger.open(run.id, TaskKind.REDUCE) is None

    job = await run.job()
    assert (job.status.state, job.status.message) == (JobState.CANCELLED, "enough")
    assert not run.ledger.is_live(run.id, 1)


async def test_what_was_not_counted_is_counted_at_the_barrier(run: Run) -> None:
    await run.planned(files_job())
    for task in ("map-0", "map-1"):
        run.do(task, outcome_of(claim_of(run.id, task), counters={"words": 3}))
    # As if the second attempt had died between its task's write and the count of it.
    uncounted = {"map_succeeded": -1, "map_running": 1, "items_succeeded": -1, "bytes_read": -5}
    run.table.update(meta_key(run.id), Change(adds=uncounted))
    run.table.update(counters_key(run.id), Change(adds={"c.words": -3}))

    phase = run.ledger.open(run.id, TaskKind.REDUCE)

    assert phase is not None
    status = (await run.job()).status
    assert (status.map.succeeded, status.map.running) == (2, 0)
    assert (status.items.succeeded, status.items.total, status.bytes_read) == (2, 2, 10)
    assert (await run.jobs.details(run.id)).counters == {"words": 6}


async def test_a_barrier_waits_for_every_task_and_opens_once(run: Run) -> None:
    await run.planned(files_job())
    run.do("map-0")
    claim = run.begin_claim("map-1")

    waiting = run.ledger.open(run.id, TaskKind.REDUCE)
    run.ledger.commit(claim, outcome_of(claim))
    opened = run.ledger.open(run.id, TaskKind.REDUCE)
    version = (await run.job()).status.version

    assert waiting is not None
    assert opened is not None
    assert (waiting.kind, opened.kind) == (TaskKind.MAP, TaskKind.REDUCE)
    assert run.ledger.open(run.id, TaskKind.REDUCE) == opened
    assert (await run.job()).status.version == version
    assert run.ledger.begin(run.id, claim.task, worker="late") is None


async def test_a_task_is_tried_again_until_it_has_failed_for_good(run: Run) -> None:
    await run.planned(files_job(failurePolicy={"maxAttempts": 3, "backoffMs": 1_000}))
    waits = []
    for _ in range(2):
        claim = run.begin_claim("map-0")
        again = run.ledger.fail(claim, BROKEN, log=["a line"])
        assert isinstance(again, Retry)
        assert run.ledger.fail(claim, BROKEN) == again  # the answer was lost
        waits.append(again.after_s)

    assert run.ledger.fail(run.begin_claim("map-0"), BROKEN) is None

    assert 0.5 <= waits[0] <= 1
    assert 1 <= waits[1] <= 2
    status = (await run.job()).status
    assert (status.state, status.map.retried, status.map.failed) == (JobState.FAILED, 2, 1)
    assert status.error is not None
    assert (status.error.code, status.error.task_id) == (BROKEN.code, "map-0")


async def test_what_cannot_be_told_until_all_is_known_is_told_at_the_barrier(run: Run) -> None:
    policy = {"maxAttempts": 1, "toleratedFailurePercentage": 30}
    await run.planned(files_job(failurePolicy=policy))
    run.do("map-0")
    run.ledger.fail(run.begin_claim("map-1"), HOPELESS, location="b.txt")
    assert (await run.job()).status.state is JobState.RUNNING

    assert run.ledger.open(run.id, TaskKind.REDUCE) is None

    status = (await run.job()).status
    assert status.error is not None
    assert (status.state, status.error.code) == (JobState.FAILED, "TOLERANCE_EXCEEDED")
    assert HOPELESS.message in status.error.message


async def test_items_set_aside_are_listed_however_many_they_are(run: Run) -> None:
    policy = {"toleratedFailureCount": 1_000, "badItems": "SKIP"}
    await run.planned(files_job(failurePolicy=policy), batches=1)
    claim = run.begin_claim("map-0")

    assert run.ledger.commit(claim, skipping(claim, 250)) is Verdict.ACCEPTED

    page = await run.jobs.failures(run.id, first=100, after=199)
    assert (page.total, page.has_next) == (250, False)
    assert [failure.location for failure in page.failures] == [
        f"inline[{i}]" for i in range(200, 250)
    ]
    assert (await run.job()).status.items.failed == 250


async def test_a_task_whose_process_died_is_tried_again(run: Run) -> None:
    policy = {"maxAttempts": 3, "backoffMs": 0}
    await run.planned(files_job(failurePolicy=policy), batches=1)
    run.begin("map-0")

    assert run.ledger.lost(run.id, TaskId("map-0"), CRASHED) == Retry(0)
    assert run.ledger.lost(run.id, TaskId("map-0"), CRASHED) == Retry(0)  # it did not even start
    attempt = run.begin("map-0")
    assert run.ledger.lost(run.id, TaskId("map-0"), CRASHED) is None

    assert attempt.number == 3
    assert (await run.job()).status.error == JobError(
        CRASHED.code, CRASHED.message, retryable=True, task_id="map-0"
    )


async def test_only_the_present_run_can_be_ended(run: Run) -> None:
    await run.planned(files_job(failurePolicy={"maxAttempts": 1}))
    run.ledger.fail(run.begin_claim("map-0"), HOPELESS)
    await run.jobs.redrive(TENANT, run.id, params=None, idempotency_key=None)

    run.ledger.end(run.id, 1, CRASHED)

    assert run.ledger.is_live(run.id, 2)
    run.ledger.end(run.id, 2, CRASHED)
    assert (await run.job()).status.error == CRASHED


async def test_the_next_run_does_what_the_last_one_did_not(run: Run) -> None:
    policy = {"maxAttempts": 1, "toleratedFailureCount": 9, "badItems": "SKIP"}
    await run.planned(files_job(failurePolicy=policy), batches=3)
    run.do("map-0")
    flawed = run.begin_claim("map-1")
    run.ledger.commit(flawed, skipping(flawed, 1))
    late = run.begin_claim("map-2")
    run.ledger.end(run.id, 1, CRASHED)

    await run.jobs.redrive(TENANT, run.id, params=None, idempotency_key=None)

    assert run.ledger.begin(run.id, TaskId("plan-0"), worker="w1") is None
    assert run.ledger.begin(run.id, TaskId("map-0"), worker="w1") is None
    assert run.ledger.commit(late, outcome_of(late)) is Verdict.FENCED
    assert [piece.name for piece in run.ledger.pieces(run.id, TaskKind.MAP)] == [
        f"jobs/{run.id}/map-0-a1"
    ]
    assert [run.begin(task).number for task in ("map-1", "map-2")] == [2, 2]
    assert (await run.job()).status.items.failed == 0


async def test_attempts_that_end_at_once_are_all_counted(run: Run) -> None:
    await run.planned(files_job(), batches=16)

    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(run.do, [f"map-{index}" for index in range(16)]))

    assert set(verdicts) == {Verdict.ACCEPTED}
    status = (await run.job()).status
    assert (status.map.succeeded, status.map.running, status.items.succeeded) == (16, 0, 16)
    assert status.version == 4 + 2 * 16  # accepted, begun, planned, opened; begun, ended


class Slow(DynamoTable):
    """A table at which a commit waits between its task's write and the count of it."""

    def __init__(self, table: DynamoTable, client: DynamoDBClient) -> None:
        super().__init__(client, table.name)
        self.is_written, self.may_count = Event(), Event()

    def update(
        self, key: ItemKey, change: Change, *, condition: ConditionBase | None = None
    ) -> Item | None:
        if "map_succeeded" in change.adds:
            self.is_written.set()
            assert self.may_count.wait(10)
        return super().update(key, change, condition=condition)


async def test_what_was_counted_at_the_barrier_is_not_counted_again(
    run: Run, dynamodb: DynamoDBClient
) -> None:
    await run.planned(files_job(), batches=1)
    claim, slow = run.begin_claim("map-0"), Slow(run.table, dynamodb)
    late = DynamoRunLedger(slow, MemoryBlobs())

    with ThreadPoolExecutor(1) as pool:
        verdict = pool.submit(late.commit, claim, outcome_of(claim))
        assert slow.is_written.wait(10)
        phase = run.ledger.open(run.id, TaskKind.REDUCE)
        slow.may_count.set()

    assert verdict.result() is Verdict.ACCEPTED
    assert phase is not None
    status = (await run.job()).status
    assert (phase.kind, status.map.succeeded, status.items.succeeded) == (TaskKind.REDUCE, 1, 1)


class Flaky(DynamoTable):
    """A table at which some counts are not written: their process dies before."""

    def __init__(self, table: DynamoTable, client: DynamoDBClient, rng: Random) -> None:
        super().__init__(client, table.name)
        self.rng = rng

    def update(
        self, key: ItemKey, change: Change, *, condition: ConditionBase | None = None
    ) -> Item | None:
        if "version" in change.adds and self.rng.random() < 0.3:
            raise UnavailableError("the process died")
        return super().update(key, change, condition=condition)


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_figures_are_right_at_the_barrier(
    run: Run, dynamodb: DynamoDBClient, seed: int
) -> None:
    rng = Random(seed)  # noqa: S311 - the same each time
    await run.planned(files_job(failurePolicy={"maxAttempts": 100, "backoffMs": 0}), batches=4)
    flaky = DynamoRunLedger(Flaky(run.table, dynamodb, rng), MemoryBlobs())
    claims: list[Claim] = []
    committed: dict[TaskId, int] = {}
    for _ in range(60):
        task = TaskId(f"map-{rng.randrange(4)}")
        claim = rng.choice([each for each in claims if each.task == task] or [None])
        with suppress(UnavailableError):
            match rng.randrange(5):
                case 0 | 1:
                    attempt = flaky.begin(run.id, task, worker="w", known_items=1)
                    if attempt is not None:
                        claims.append(Claim(run.id, task, attempt.number))
                case 2 if claim is not None:
                    verdict = flaky.commit(claim, outcome_of(claim))
                    if verdict is not Verdict.FENCED:
                        assert committed.setdefault(task, claim.number) == claim.number
                case 3 if claim is not None:
                    flaky.fail(claim, BROKEN)
                case _:
                    flaky.lost(run.id, task, CRASHED)
    for index in range(4):
        attempt = run.ledger.begin(run.id, TaskId(f"map-{index}"), worker="w", known_items=1)
        if attempt is not None:
            assert attempt.task not in committed
            claim = Claim(run.id, attempt.task, attempt.number)
            run.ledger.commit(claim, outcome_of(claim))
            committed[attempt.task] = attempt.number

    phase = run.ledger.open(run.id, TaskKind.REDUCE)

    assert phase is not None
    assert phase.kind is TaskKind.REDUCE
    status = (await run.job()).status
    assert (status.map.succeeded, status.map.running, status.map.failed) == (4, 0, 0)
    assert (status.items.succeeded, status.items.running, status.bytes_read) == (4, 0, 20)
    names = [piece.name for piece in run.ledger.pieces(run.id, TaskKind.MAP)]
    assert len(names) == 4
    for task, number in committed.items():
        assert f"jobs/{run.id}/{task}-a{number}" in names


async def test_a_table_that_does_not_answer_is_unavailable() -> None:
    nowhere = connect({**ENVIRON, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, attempts=1)
    ledger = DynamoRunLedger(DynamoTable(nowhere, "jobs"), MemoryBlobs())

    with pytest.raises(UnavailableError):
        ledger.is_live(JobId("j-1"), 1)


async def test_what_is_too_large_for_an_item_is_kept_in_a_blob(run: Run) -> None:
    large = ["x" * 300_000, "y" * 300_000]
    await run.accept(inline_job(source={"inline": large}, params={"p": "z" * 500_000}))

    attempt = run.begin("plan-0")

    assert attempt.spec["source"]["inline"] == large
    job = await run.job()
    assert (job.spec["source"]["inline"], job.spec["params"]) == (large, {"p": "z" * 500_000})


async def test_tasks_that_only_an_earlier_run_had_hold_nobody_up(run: Run) -> None:
    await run.accept(files_job(failurePolicy={"maxAttempts": 1}))
    run.do("plan-0", Outcome(plan_batches=1, plan_bytes=20, reducers=3))
    run.ledger.open(run.id, TaskKind.MAP)
    run.do("map-0")
    run.ledger.open(run.id, TaskKind.REDUCE)
    for index in range(3):
        run.begin(f"reduce-{index}")
    run.ledger.end(run.id, 1, CRASHED)
    await run.jobs.redrive(TENANT, run.id, params=None, idempotency_key=None)
    run.table.update(meta_key(run.id), Change({"reducers": 1}))

    run.ledger.open(run.id, TaskKind.REDUCE)
    run.do("reduce-0")
    phase = run.ledger.open(run.id, TaskKind.FINISH)

    assert phase is not None
    assert (phase.kind, phase.tasks) == (TaskKind.FINISH, 1)
