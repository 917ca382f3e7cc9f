"""What several processes do to a job in DynamoDB at once, and what comes after its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from boto3.dynamodb.conditions import ConditionBase

from adapters.dynamodb.barrier import open_phase
from adapters.dynamodb.items import Due, due_key, job_pk
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import Change, ItemKey, Write
from engine.job import JobError, JobId, JobState, TaskId, TaskKind
from engine.jobs import JobUpdate
from engine.ledger import Claim, EndedJob, Verdict
from tests.contract.test_failures import with_failures
from tests.support.dispatched import DynamoHouse
from tests.support.jobs import TENANT, claim_of, inline_job, outcome_of
from workers.caretaker import look_after_jobs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio

T = TypeVar("T")
HOPELESS = JobError(code="USER_CODE", message="map raised ValueError")


@pytest.fixture
def house(dynamo: DynamoTable) -> DynamoHouse:
    return DynamoHouse(dynamo)


class Held(DynamoTable):
    """A table at which a process halts once, right before what *is_held* chooses.

    Attributes:
        reached: Set when it has come there.
        go_on: Lets it go on.
    """

    def __init__(
        self, table: DynamoTable, client: DynamoDBClient, is_held: Callable[[str, Any], bool]
    ) -> None:
        super().__init__(client, table.name)
        self.is_held = is_held
        self.reached, self.go_on = threading.Event(), threading.Event()

    def put(self, item: Item) -> None:
        self._halt("put", item)
        super().put(item)

    def put_all(self, items: Iterable[Item]) -> None:
        found = list(items)
        self._halt("put_all", found)
        super().put_all(found)

    def update(
        self, key: ItemKey, change: Change, *, condition: ConditionBase | None = None
    ) -> Item | None:
        self._halt("update", key)
        return super().update(key, change, condition=condition)

    def query(self, pk: str, **given: Any) -> Iterator[Item]:
        self._halt("query", pk)
        return super().query(pk, **given)

    def transact(self, *writes: Write) -> int | None:
        self._halt("transact", writes)
        return super().transact(*writes)

    def _halt(self, what: str, of: Any) -> None:
        if not self.reached.is_set() and self.is_held(what, of):
            self.reached.set()
            assert self.go_on.wait(20)


async def in_between(
    held: Held, act: Coroutine[Any, Any, T], meanwhile: Callable[[], Awaitable[None]]
) -> T:
    """Run *act*, and *meanwhile* while it is held; return what the first returns."""
    acting = asyncio.create_task(act)
    try:
        assert await asyncio.to_thread(held.reached.wait, 20)
        await meanwhile()
    finally:
        held.go_on.set()
    return await acting


async def planned(house: DynamoHouse, **spec: Any) -> JobId:
    """A job in its map phase, of which one task has been mapped."""
    new = inline_job(**{"batches": 3, **spec})
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))
    return new.id


async def gone(house: DynamoHouse, job: JobId) -> None:
    """Cancel, delete and erase a job, as its owner may."""
    await house.jobs.cancel(TENANT, job, reason=None)
    await house.jobs.delete(TENANT, job)
    await house.jobs.erase(job)


# ------------------------------------------------------------------ redrive and tidying up


@pytest.mark.parametrize(
    "held_at",
    [
        pytest.param("query", id="before it counts"),
        pytest.param("transact", id="before it is written"),
    ],
)
async def test_a_redrive_across_a_tidy_up_counts_on_nothing_that_was_removed(
    house: DynamoHouse, dynamodb: DynamoDBClient, held_at: str
) -> None:
    job = await planned(house)
    await house.jobs.cancel(TENANT, job, reason=None)
    [ended] = await house.ledger.unreported_runs()
    held = Held(house.table, dynamodb, lambda what, _: what == held_at)
    late = DynamoHouse(held).jobs

    async def tidy_up() -> None:
        assert await house.ledger.reported(ended, "a manifest")
        await house.tidy(job)

    redrive = late.redrive(TENANT, job, params=None, idempotency_key=None)
    await in_between(held, redrive, tidy_up)

    status = (await house.job(job)).status
    assert (status.run, status.map.succeeded) == (2, 0)
    for task, number in (("map-0", 2), ("map-1", 1), ("map-2", 1), ("reduce-0", 1)):
        await house.do(claim_of(job, task, number))
    await house.do(claim_of(job, "finish-0"))
    assert (await house.job(job)).status.items.succeeded == 3


async def test_only_the_run_that_a_caretaker_listed_is_tidied_up(house: DynamoHouse) -> None:
    job = await planned(house)
    await house.jobs.cancel(TENANT, job, reason=None)
    [run] = await house.ledger.unreported_runs()
    await house.ledger.reported(run, "a manifest")
    [ended] = await house.ledger.ended_jobs()
    others = [EndedJob(job, number, ended.manifest) for number in (0, 2)]

    assert ended == EndedJob(job, 1, "a manifest")
    for other in others:
        assert not await house.ledger.is_untidied(other)
        await house.ledger.cleaned(other)
    assert await house.ledger.is_untidied(ended)
    await house.ledger.cleaned(ended)
    assert not await house.ledger.is_untidied(ended)


async def test_of_two_reports_one_becomes_the_jobs(
    house: DynamoHouse, dynamodb: DynamoDBClient
) -> None:
    job = await planned(house)
    await house.jobs.cancel(TENANT, job, reason=None)
    [run] = await house.ledger.unreported_runs()
    held = Held(house.table, dynamodb, lambda what, _: what == "transact")
    late = DynamoHouse(held).ledger

    async def be_faster() -> None:
        assert await house.ledger.reported(run, "first")

    is_second = await in_between(held, late.reported(run, "second"), be_faster)

    assert not is_second
    assert await house.ledger.reported(run, "first")
    assert (await house.jobs.details(job)).report == "first"


async def test_a_report_whose_job_is_deleted_before_it_is_written_is_none(
    house: DynamoHouse, dynamodb: DynamoDBClient
) -> None:
    job = await planned(house)
    await house.jobs.cancel(TENANT, job, reason=None)
    [run] = await house.ledger.unreported_runs()
    held = Held(house.table, dynamodb, lambda what, _: what == "transact")
    late = DynamoHouse(held).ledger

    is_report = await in_between(
        held, late.reported(run, "a manifest"), lambda: house.jobs.delete(TENANT, job)
    )

    assert not is_report
    assert not await house.ledger.reported(run, "a manifest")


# ------------------------------------------------------------------ what comes after erasing


def commit(table: DynamoTable, house: DynamoHouse, job: JobId) -> Verdict:
    claim = claim_of(job, "map-1")
    failed = with_failures(claim, 150)
    ledger = DynamoRunLedger(table, house.blobs)
    return ledger.commit(claim, replace(failed, counters={"words": 1.0}))


def begin(table: DynamoTable, house: DynamoHouse, job: JobId) -> Any:
    return DynamoRunLedger(table, house.blobs).begin(job, TaskId("map-2"), worker="late")


def close_map(table: DynamoTable, house: DynamoHouse, job: JobId) -> Any:
    return open_phase(table, job, TaskKind.REDUCE)


LATE = {
    "its failed items": (lambda what, _: what == "put_all", commit),
    "its counters": (lambda what, of: what == "update" and of[1] == "COUNTERS", commit),
    "a task it has begun": (lambda what, of: what == "update" and "TASK#" in of[1], begin),
    "the counters of a barrier": (lambda what, _: what == "put", close_map),
}


@pytest.mark.parametrize("late", LATE)
async def test_what_comes_of_a_job_after_it_was_erased_is_removed_later(
    house: DynamoHouse, dynamodb: DynamoDBClient, late: str
) -> None:
    is_held, act = LATE[late]
    policy = {"badItems": "SKIP", "toleratedFailureCount": 1_000}
    job = await planned(house, failurePolicy=policy)
    await house.take(claim_of(job, "map-1"))
    if act is close_map:
        runs = DynamoRunLedger(house.table, house.blobs)
        runs.commit(claim_of(job, "map-1"), outcome_of(claim_of(job, "map-1")))
        begin(house.table, house, job)
        runs.commit(claim_of(job, "map-2"), outcome_of(claim_of(job, "map-2")))
    held = Held(house.table, dynamodb, is_held)

    acting = asyncio.to_thread(act, held, house, job)
    await in_between(held, acting, lambda: gone(house, job))
    house.blobs.put(f"jobs/{job}/result/finish-0-a1.manifest.json", b"too late")
    await look_after_jobs(house.ledger, house.blobs)
    assert await house.mentions(job) != set()

    house.end_last_attempts(job)
    await look_after_jobs(house.ledger, house.blobs)

    assert not [item for item in house.table.scan() if job in str(item)]
    assert not list(house.blobs.list(f"jobs/{job}"))
    assert await house.ledger.expired_jobs() == []


async def test_an_erased_job_comes_up_once_more_when_its_last_attempts_have_ended(
    house: DynamoHouse,
) -> None:
    job = await planned(house)
    await gone(house, job)
    assert await house.ledger.expired_jobs() == []
    await house.jobs.erase(job)  # as by a caretaker who had listed it before
    assert await house.mentions(job) == set()

    house.end_last_attempts(job)
    assert await house.ledger.expired_jobs() == [job]
    assert await house.ledger.expired_jobs() == [job]
    await house.ledger.erase(job)

    assert await house.ledger.expired_jobs() == []
    assert not list(house.table.query(job_pk(job)))


async def test_who_erases_a_job_again_too_early_leaves_it_due(
    house: DynamoHouse, dynamodb: DynamoDBClient
) -> None:
    job = await planned(house)
    await house.jobs.cancel(TENANT, job, reason=None)
    await house.jobs.delete(TENANT, job)
    held = Held(house.table, dynamodb, lambda what, _: what == "transact")
    other = DynamoHouse(held).jobs

    await in_between(held, other.erase(job), lambda: house.jobs.erase(job))

    assert len(list(house.table.query(due_key(Due.LATE, 0, "")[0]))) == 1
    house.end_last_attempts(job)
    assert await house.ledger.expired_jobs() == [job]


# ------------------------------------------------------------------ answers that are lost


class SentTwice:
    """A client whose first answer to what adds failed items is lost, so that it asks again."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client
        self.sent_again = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_item(self, **words: Any) -> Any:
        names = words.get("ExpressionAttributeNames", {})
        if "items_failed" in names.values() and "ADD" in words["UpdateExpression"]:
            self._client.update_item(**words)
            self.sent_again += 1
        return self._client.update_item(**words)


def set_aside(runs: DynamoRunLedger, claim: Claim) -> None:
    runs.commit(claim, with_failures(claim, 3))


def fail(runs: DynamoRunLedger, claim: Claim) -> None:
    runs.fail(claim, HOPELESS)


@pytest.mark.parametrize(
    ("ends", "failed", "tolerated"),
    [
        pytest.param(set_aside, 3, 5, id="items that are set aside"),
        pytest.param(fail, 1, 1, id="a batch that fails for good"),
    ],
)
async def test_an_addition_that_is_sent_twice_ends_no_job_that_tolerates_what_failed(
    house: DynamoHouse,
    dynamodb: DynamoDBClient,
    ends: Callable[[DynamoRunLedger, Claim], None],
    failed: int,
    tolerated: int,
) -> None:
    policy = {"maxAttempts": 1, "badItems": "SKIP", "toleratedFailureCount": tolerated}
    job = await planned(house, failurePolicy=policy)
    claim = claim_of(job, "map-1")
    await house.take(claim)
    client = SentTwice(dynamodb)
    runs = DynamoRunLedger(DynamoTable(client, house.table.name), house.blobs)  # type: ignore[arg-type]

    await asyncio.to_thread(ends, runs, claim)

    assert client.sent_again == 1
    assert (await house.job(job)).status.state is JobState.RUNNING
    await house.jobs.update(TENANT, job, JobUpdate(tolerated_failure_count=tolerated))
    assert (await house.job(job)).status.state is JobState.RUNNING
    await house.do(claim_of(job, "map-2"))
    assert (await house.job(job)).status.items.failed == failed  # the barrier has counted anew


async def test_a_job_that_does_not_tolerate_what_failed_ends_with_the_number_of_its_tasks(
    house: DynamoHouse, dynamodb: DynamoDBClient
) -> None:
    policy = {"maxAttempts": 1, "badItems": "SKIP", "toleratedFailureCount": 2}
    job = await planned(house, failurePolicy=policy)
    claim = claim_of(job, "map-1")
    await house.take(claim)
    client = SentTwice(dynamodb)
    runs = DynamoRunLedger(DynamoTable(client, house.table.name), house.blobs)  # type: ignore[arg-type]

    await asyncio.to_thread(set_aside, runs, claim)

    status = (await house.job(job)).status
    assert status.error is not None
    assert (status.state, status.items.failed) == (JobState.FAILED, 3)
    assert status.error.message.startswith("3 items have failed")
