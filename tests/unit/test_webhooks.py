"""Webhooks without a network: signatures, secrets, pauses, and what a worker does with a queue."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError, UnavailableError
from engine.job import JobId, JobState
from engine.signing import Signer
from engine.spec import is_webhook, parse_spec
from engine.webhook_delivery import WebhookState
from engine.webhooks import (
    DELIVERY,
    GIVE_UP_AFTER_S,
    Delivery,
    NoWebhooks,
    pause_after,
    signature,
    webhook_secret,
)
from tests.support.memory import ADA, MemoryBell, MemoryJobs, job_of
from tests.support.waiting import turns
from workers.webhooks import AT_ONCE, AT_ONCE_OF_A_TENANT, AT_ONCE_TO_A_HOST, Webhooks

NOW_MS = int(time.time() * 1000)
SIGNER = Signer(b"k" * 16)


def test_a_signature_can_be_checked_with_hmac_alone() -> None:
    signed = signature("whsec_x", b'{"a":1}', at_s=1_700_000_000)

    digest = hmac.new(b"whsec_x", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signed == f"t=1700000000,v1={digest}"


def test_each_tenant_and_each_deployment_has_a_secret_of_its_own() -> None:
    others = {
        webhook_secret(SIGNER, "acme"),
        webhook_secret(SIGNER, "other"),
        webhook_secret(Signer(b"l" * 16), "acme"),
    }

    assert len(others) == 3
    assert webhook_secret(SIGNER, "acme") == webhook_secret(Signer(b"k" * 16), "acme")
    assert all(secret.startswith("whsec_") and len(secret) == 49 for secret in others)


@given(st.integers(1, 10_000))
def test_pauses_grow_to_an_hour(tries: int) -> None:
    pause_s = pause_after(tries)

    assert min(1.0 * 2 ** min(tries - 1, 20), 1_800) <= pause_s <= 3_600


@pytest.mark.anyio
async def test_where_there_are_no_webhooks_none_is_taken() -> None:
    with pytest.raises(InputError, match="sends no webhooks"):
        await NoWebhooks().check("https://example.com", tenant=ADA.tenant)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("https://example.com", True),
        ("https://example.com:8443/a/b?c=%20d", True),
        ("http://[::1]:9/x", True),
        ("https://example.com/#x", False),
        ("https://a@example.com/", False),
        ("https://exa mple.com/", False),
        ("https://example.com/a b", False),
        ("https://example.com\\@evil.com/", False),
        ("https:///x", False),
        ("//example.com", False),
        ("HTTPS://example.com", False),
        ("https://example.com/\n", False),
    ],
)
def test_a_webhook_reads_like_an_address(text: str, is_one: bool) -> None:
    assert is_webhook(text) is is_one


def test_numbers_are_not_read_from_texts_or_switches() -> None:
    with pytest.raises(InputError) as raised:
        parse_spec(
            {
                "program": "wordcount",
                "source": {"inline": []},
                "reducers": "2",
                "timeoutSeconds": True,
            }
        )

    assert [issue.path[1] for issue in raised.value.issues] == ["reducers", "timeoutSeconds"]


# ------------------------------------------------------------------ what a worker does


class MemoryQueue:
    """A queue that gives out what it is made with, once."""

    def __init__(self, *due: Delivery) -> None:
        self.due = list(due)
        self.ended: list[JobId] = []
        self.states: list[tuple[WebhookState | None, int | None]] = []
        self.back: list[tuple[JobId, bool]] = []
        self.answers: list[int | None] = []
        self.asked: list[tuple[int, int | None, dict[str, int]]] = []

    async def claim(
        self, limit: int, *, share: int | None = None, held: Mapping[str, int] | None = None
    ) -> Sequence[Delivery]:
        self.asked.append((limit, share, dict(held or {})))
        found, self.due = self.due[:limit], self.due[limit:]
        return found

    async def end(
        self,
        delivery: Delivery,
        *,
        state: WebhookState | None = None,
        status_code: int | None = None,
    ) -> None:
        self.ended.append(delivery.job)
        self.states.append((state, status_code))

    async def put_back(
        self,
        delivery: Delivery,
        *,
        pause_s: float,
        is_tried: bool = True,
        status_code: int | None = None,
    ) -> None:
        self.back.append((delivery.job, is_tried))
        self.answers.append(status_code)


class MemorySender:
    """Answers with *status*, or not at all; holds answers until ``open`` is set."""

    def __init__(self, status: int | None = 204) -> None:
        self.status = status
        self.sent: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, url: str, *, tenant: str, headers: Mapping[str, str], body: bytes) -> int:
        self.sent.append(headers[DELIVERY])
        await self.open.wait()
        if self.status is None:
            raise UnavailableError("nobody answers")
        return self.status


def due(job: str, *, run: int = 1, tries: int = 1, ended_ms: int = NOW_MS) -> Delivery:
    return Delivery(JobId(job), run, ADA.tenant, "https://hooks.test/a", tries, ended_ms)


def worker_of(queue: MemoryQueue, sender: MemorySender, *jobs: str) -> Webhooks:
    """A worker before whose eyes *jobs* have ended in their first run."""
    store = MemoryJobs(MemoryBell([]))
    for job in jobs:
        store.put(job_of(job, state=JobState.SUCCEEDED))
    return Webhooks(queue, jobs=store, sender=sender, secret_of=lambda tenant: f"of {tenant}")


async def looked(webhooks: Webhooks) -> None:
    """Let a worker look once, and everything that comes of it happen."""
    await webhooks.look()
    await turns(20)


@pytest.mark.anyio
@pytest.mark.parametrize("status", [200, 204, 299, 410])
async def test_an_answer_ends_a_delivery(status: int) -> None:
    queue, sender = MemoryQueue(due("j-1")), MemorySender(status)

    await looked(worker_of(queue, sender, "j-1"))

    assert (sender.sent, queue.ended, queue.back) == (["j-1.1"], ["j-1"], [])
    state = WebhookState.FAILED if status == 410 else WebhookState.DELIVERED
    assert queue.states == [(state, status)]


@pytest.mark.anyio
@pytest.mark.parametrize("status", [None, 199, 301, 400, 404, 429, 500, 503])
async def test_any_other_answer_leads_to_another_try(status: int | None) -> None:
    queue, sender = MemoryQueue(due("j-1")), MemorySender(status)

    await looked(worker_of(queue, sender, "j-1"))

    assert (queue.ended, queue.back) == ([], [("j-1", True)])
    assert queue.answers == [status]


@pytest.mark.anyio
async def test_after_a_day_it_is_given_up() -> None:
    yesterday_ms = NOW_MS - int(GIVE_UP_AFTER_S * 1000)
    queue = MemoryQueue(due("j-1", tries=40, ended_ms=yesterday_ms))

    await looked(worker_of(queue, MemorySender(500), "j-1"))

    assert (queue.ended, queue.back) == (["j-1"], [])
    assert queue.states == [(WebhookState.FAILED, 500)]


@pytest.mark.anyio
async def test_nothing_is_sent_of_what_is_not_there_any_more() -> None:
    queue, sender = MemoryQueue(due("j-erased"), due("j-1", run=2)), MemorySender()

    await looked(worker_of(queue, sender, "j-1"))

    assert (sender.sent, queue.ended) == ([], ["j-erased", "j-1"])
    assert queue.states == [(None, None)] * 2


@pytest.mark.anyio
async def test_a_slow_host_does_not_take_all_the_room() -> None:
    names = [f"j-{index}" for index in range(AT_ONCE_TO_A_HOST + 2)]
    queue, sender = MemoryQueue(*map(due, names)), MemorySender()
    sender.open.clear()
    webhooks = worker_of(queue, sender, *names)

    await looked(webhooks)
    assert len(sender.sent) == AT_ONCE_TO_A_HOST
    assert queue.back == [(name, False) for name in names[AT_ONCE_TO_A_HOST:]]

    sender.open.set()
    await turns(20)
    queue.due = [due("j-0")]
    await looked(webhooks)
    assert len(sender.sent) == AT_ONCE_TO_A_HOST + 1


@pytest.mark.anyio
async def test_a_worker_takes_its_share_of_a_tenant_and_tells_what_it_has() -> None:
    queue, sender = MemoryQueue(due("j-0"), due("j-1")), MemorySender()
    sender.open.clear()
    webhooks = worker_of(queue, sender, "j-0", "j-1")

    await looked(webhooks)
    await looked(webhooks)
    sender.open.set()
    await turns(20)
    await looked(webhooks)

    assert queue.asked == [
        (AT_ONCE, AT_ONCE_OF_A_TENANT, {}),
        (AT_ONCE - 2, AT_ONCE_OF_A_TENANT, {ADA.tenant: 2}),
        (AT_ONCE, AT_ONCE_OF_A_TENANT, {}),
    ]
