"""The queue of webhook deliveries: fed by the end of a run, leased, put back, dropped when void."""

from __future__ import annotations

from typing import Any

import pytest

from engine.job import JobError, JobId
from engine.webhook_delivery import WebhookDelivery, WebhookState
from engine.webhooks import Delivery, WebhookQueue
from tests.support.house import House
from tests.support.jobs import TENANT, claim_of, inline_job

pytestmark = pytest.mark.anyio

URL = "https://hooks.test/ended"
BROKEN = JobError(code="USER_CODE", message="no")
LONG_PAUSE_S = 3_600.0


@pytest.fixture
def queue(house: House) -> WebhookQueue:
    """A queue whose leases outlive every test."""
    return house.webhooks()


@pytest.fixture
def forgetful(house: House) -> WebhookQueue:
    """A queue whose leases end at once, as those of dead workers do."""
    return house.webhooks(lease_ms=0)


async def succeeded(house: House, **spec: Any) -> JobId:
    return (await house.run_to_the_end(inline_job(webhook=URL, **spec))).id


async def failed(house: House) -> JobId:
    new = inline_job(webhook=URL, failurePolicy={"maxAttempts": 1})
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.take(claim)
    await house.ledger.fail(claim, BROKEN)
    return new.id


async def test_the_end_of_a_job_is_due_at_once(house: House, queue: WebhookQueue) -> None:
    job = await succeeded(house)

    [found] = await queue.claim(10)

    ended = (await house.job(job)).finished_at
    assert ended is not None
    assert found == Delivery(job, 1, TENANT, URL, 1, round(ended.timestamp() * 1000))


@pytest.mark.parametrize("ends", ["fails", "is cancelled", "is out of time"])
async def test_however_a_job_ends_it_is_due(house: House, queue: WebhookQueue, ends: str) -> None:
    if ends == "fails":
        job = await failed(house)
    else:
        new = inline_job(webhook=URL)
        await house.jobs.accept(new)
        job = new.id
        if ends == "is cancelled":
            await house.jobs.cancel(TENANT, job, reason=None)
        else:
            await house.run_out_of_time(job)

    assert [found.job for found in await queue.claim(10)] == [job]


async def test_a_job_without_a_webhook_is_not_due(house: House, queue: WebhookQueue) -> None:
    await house.run_to_the_end(inline_job())

    assert await queue.claim(10) == []


async def test_a_job_that_runs_is_not_due(house: House, queue: WebhookQueue) -> None:
    await house.jobs.accept(inline_job(webhook=URL))

    assert await queue.claim(10) == []


async def test_what_somebody_has_is_given_to_nobody_else(house: House, queue: WebhookQueue) -> None:
    await succeeded(house)

    assert len(await queue.claim(10)) == 1
    assert await queue.claim(10) == []


async def test_no_more_is_given_than_is_asked_for(house: House, queue: WebhookQueue) -> None:
    jobs = {await succeeded(house) for _ in range(3)}

    first = await queue.claim(2)
    second = await queue.claim(2)

    assert (len(first), len(second)) == (2, 1)
    assert {found.job for found in (*first, *second)} == jobs


async def test_a_tenant_is_passed_over_who_has_its_share(house: House, queue: WebhookQueue) -> None:
    jobs = [await succeeded(house) for _ in range(4)]
    behind = await succeeded(house, tenant="other")

    found = await queue.claim(3, share=2)
    rest = await queue.claim(3, share=2, held={TENANT: 1, "somebody": 2})

    last = await queue.claim(3)
    assert [one.tenant for one in found] == [TENANT, TENANT, "other"]
    assert [one.tenant for one in (*rest, *last)] == [TENANT, TENANT]
    everything = [*found, *rest, *last]
    assert {one.job for one in everything} == {*jobs, behind}
    assert {one.tries for one in everything} == {1}


async def test_who_is_behind_all_that_a_look_sees_is_found_by_the_next(house: House) -> None:
    queue = house.webhooks(looks_at=3)
    for _ in range(4):
        await succeeded(house)
    behind = await succeeded(house, tenant="other")

    assert await queue.claim(10, share=1, held={TENANT: 1}) == []
    assert [one.job for one in await queue.claim(10, share=1, held={TENANT: 1})] == [behind]


async def test_what_is_passed_over_does_not_rest_while_a_look_sees_all(
    house: House, queue: WebhookQueue
) -> None:
    job = await succeeded(house)

    assert await queue.claim(10, share=1, held={TENANT: 1}) == []

    assert [one.job for one in await queue.claim(10)] == [job]


async def test_what_a_dead_worker_had_comes_up_again(house: House, forgetful: WebhookQueue) -> None:
    await succeeded(house)

    tries = [(await forgetful.claim(1))[0] for _ in range(3)]

    assert [found.tries for found in tries] == [1, 2, 3]
    assert len({found.id for found in tries}) == 1


async def test_what_was_delivered_is_forgotten(house: House, forgetful: WebhookQueue) -> None:
    await succeeded(house)
    [found] = await forgetful.claim(1)

    await forgetful.end(found)

    assert await forgetful.claim(1) == []
    assert await house.deliveries() == 0


async def test_what_is_put_back_waits(house: House, queue: WebhookQueue) -> None:
    await succeeded(house)
    [found] = await queue.claim(1)

    await queue.put_back(found, pause_s=LONG_PAUSE_S)
    assert await queue.claim(1) == []

    await queue.put_back(found, pause_s=0)
    [again] = await queue.claim(1)
    assert (again.id, again.tries) == (found.id, 2)


async def test_what_was_not_tried_is_not_counted(house: House, queue: WebhookQueue) -> None:
    await succeeded(house)
    [found] = await queue.claim(1)

    await queue.put_back(found, pause_s=-1, is_tried=False)

    assert (await queue.claim(1))[0].tries == 1


async def test_what_has_ended_is_not_put_back(house: House, queue: WebhookQueue) -> None:
    await succeeded(house)
    [found] = await queue.claim(1)
    await queue.end(found)

    await queue.put_back(found, pause_s=0)
    await queue.put_back(found, pause_s=0, is_tried=False)

    assert await house.deliveries() == 0


async def test_an_erased_job_is_dropped(house: House, queue: WebhookQueue) -> None:
    job = await succeeded(house)
    await house.jobs.delete(TENANT, job)

    assert await queue.claim(10) == []
    assert await house.deliveries() == 0


async def test_a_job_that_runs_again_is_told_of_when_that_run_ends(
    house: House, queue: WebhookQueue
) -> None:
    job = await failed(house)
    await house.jobs.redrive(TENANT, job, params=None, idempotency_key=None)
    assert await queue.claim(10) == []

    await house.jobs.cancel(TENANT, job, reason=None)

    [found] = await queue.claim(10)
    assert (found.job, found.run, found.tries) == (job, 2, 1)
    assert await house.deliveries() == 1


async def test_the_end_of_an_earlier_run_does_not_take_that_of_a_later_one_along(
    house: House, queue: WebhookQueue
) -> None:
    job = await failed(house)
    [first] = await queue.claim(10)
    await house.jobs.redrive(TENANT, job, params=None, idempotency_key=None)
    await house.jobs.cancel(TENANT, job, reason=None)

    await queue.end(first)

    assert [found.run for found in await queue.claim(10)] == [2]


async def test_what_another_key_is_to_sign_is_left_to_those_who_have_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.jobs = house.jobs_with(webhook_key="one")
    job = await succeeded(house)

    assert await house.webhooks(key="other", lease_ms=0).claim(10) == []
    assert "signs with another key than the API" in caplog.text
    [found] = await house.webhooks(key="one").claim(10)
    assert (found.job, found.tries) == (job, 1)


async def told(house: House, job: JobId) -> WebhookDelivery:
    found = (await house.job(job)).webhook
    assert found is not None
    return found


async def test_what_became_of_each_try_is_shown(house: House, forgetful: WebhookQueue) -> None:
    new = inline_job(webhook=f"{URL}?token=secret", failurePolicy={"maxAttempts": 1})
    await house.jobs.accept(new)
    assert await told(house, new.id) == WebhookDelivery("hooks.test", WebhookState.WAITING)

    await house.take(claim_of(new.id, "map-0"))
    await house.ledger.fail(claim_of(new.id, "map-0"), BROKEN)
    [found] = await forgetful.claim(1)
    assert await told(house, new.id) == WebhookDelivery("hooks.test", WebhookState.PENDING)

    await forgetful.put_back(found, pause_s=0, status_code=503)
    pending = await told(house, new.id)
    assert (pending.state, pending.attempts) == (WebhookState.PENDING, 1)
    assert pending.last_status_code == 503
    assert pending.last_attempt_at == pending.next_attempt_at is not None

    [found] = await forgetful.claim(1)
    await forgetful.put_back(found, pause_s=0)
    silent = await told(house, new.id)
    assert (silent.attempts, silent.last_status_code) == (2, None)

    [found] = await forgetful.claim(1)
    await forgetful.end(found, state=WebhookState.DELIVERED, status_code=204)
    await forgetful.put_back(found, pause_s=0, status_code=500)  # of one who had it as well
    over = await told(house, new.id)
    assert (over.state, over.attempts) == (WebhookState.DELIVERED, 3)
    assert (over.last_status_code, over.next_attempt_at) == (204, None)


async def test_what_is_shown_is_of_the_present_run(house: House, forgetful: WebhookQueue) -> None:
    job = await failed(house)
    [first] = await forgetful.claim(1)
    await forgetful.put_back(first, pause_s=0, status_code=503)

    await house.jobs.redrive(TENANT, job, params=None, idempotency_key=None)
    await forgetful.end(first, state=WebhookState.DELIVERED, status_code=200)

    assert await told(house, job) == WebhookDelivery("hooks.test", WebhookState.WAITING)


async def test_a_try_leaves_nothing_of_an_erased_job(house: House, forgetful: WebhookQueue) -> None:
    job = await succeeded(house)
    [found] = await forgetful.claim(1)
    await house.jobs.delete(TENANT, job)
    await house.jobs.erase(job)

    await forgetful.put_back(found, pause_s=0, status_code=500)

    assert not any(job in name for name in await house.mentions(job))
