"""Webhooks of a real service: signed, sent at least once for each end of a job, never inwards."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.support.client import STATUS, Api
from tests.support.killing import kill, workers_of
from tests.support.leftovers import redis_url_of
from tests.support.receiver import Received, Receiver, receiving, status
from tests.support.running import RunningService, fanfold, free_port, running_service
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

POEM = ["a b", "b"]
TRIES = "fanfold:webhooks:tries"
FULL = STATUS.replace("ratio", "ratio etaSeconds") + (
    "query Full($id: ID!) { job(id: $id) { status { ...StatusParts } } }"
)
REDRIVE = """
mutation Redrive($id: ID!) {
  redriveJob(input: {id: $id}) { __typename ... on UserError { message } }
}
"""
WEBHOOK = """
query Webhook($id: ID!) {
  job(id: $id) {
    webhook { host state attempts lastStatusCode lastAttemptAt nextAttemptAt }
  }
}
"""
DELETE = "mutation Delete($id: ID!) { deleteJob(id: $id) { __typename } }"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that may call receivers on loopback."""
    folder = tmp_path_factory.mktemp("webhooks")
    (folder / "sources").mkdir()
    settings = {"FANFOLD_WEBHOOK_HOSTS": "127.0.0.1"}
    with running_service(
        folder / "data", folder / "sources", port=free_port(), settings=settings
    ) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def verify(secret: str, received: Received) -> dict[str, Any]:
    """Check a request as its receiver would, and return what it says."""
    parts = dict(part.split("=", 1) for part in received.headers["fanfold-signature"].split(","))
    assert abs(time.time() - int(parts["t"])) < 300
    signed = parts["t"].encode() + b"." + received.body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, parts["v1"])
    found: dict[str, Any] = json.loads(received.body)
    return found


async def secret_of(api: Api) -> str:
    secret: str = (await api.ask("{ viewer { webhookSecret } }"))["viewer"]["webhookSecret"]
    return secret


async def submit(api: Api, receiver: Receiver, **job: Any) -> str:
    return await api.submit("wordcount", POEM, webhook=receiver.url(), **job)


def queued(service: RunningService) -> list[Any]:
    """Return what the queue holds: members, and how often they were tried."""
    with Redis.from_url(redis_url_of(service), decode_responses=True) as redis:
        members: Any = redis.zrange("fanfold:webhooks", 0, -1)
        return [*members, redis.hgetall(TRIES)]


def tries_of(service: RunningService, job: str) -> int:
    with Redis.from_url(redis_url_of(service), decode_responses=True) as redis:
        return int(str(redis.hget(TRIES, f"{job} 1") or 0))


# ------------------------------------------------------------------ what is sent


async def test_the_terminal_status_is_sent_with_a_signature(api: Api, receiver: Receiver) -> None:
    job = await submit(api, receiver)

    [received] = await receiver.wait_for(1)

    told = verify(await secret_of(api), received)
    assert told["state"] == "SUCCEEDED"
    assert told == (await api.ask(FULL, id=job))["job"]["status"]
    assert received.headers["content-type"] == "application/json"
    assert received.headers["fanfold-delivery"] == f"{job}.1"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_the_operator_is_shown_the_secret_as_well(service: RunningService, api: Api) -> None:
    settings = {"FANFOLD_DATA_DIR": str(service.data_dir)}
    shown = await asyncio.to_thread(fanfold, "webhook-secret", environ=settings)

    assert shown.stdout.strip() == await secret_of(api), shown.stderr


async def test_what_was_taken_is_forgotten(
    service: RunningService, api: Api, receiver: Receiver
) -> None:
    await submit(api, receiver)
    await receiver.wait_for(1)

    await eventually_async(lambda: queued(service) == [{}])
    assert len(receiver.received) == 1


async def test_what_became_of_it_is_shown_alike_by_graphql_and_rest(
    service: RunningService, api: Api, receiver: Receiver
) -> None:
    job = await submit(api, receiver)
    await receiver.wait_for(1)
    await eventually_async(lambda: queued(service) == [{}])

    shown = (await api.ask(WEBHOOK, id=job))["job"]["webhook"]
    other = await api.submit("wordcount", POEM)
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as rest:
        answer = await rest.get(f"/jobs/{job}/webhook")
        none = await rest.get(f"/jobs/{other}/webhook")

    assert answer.json() == shown
    assert shown["host"] == f"127.0.0.1:{receiver.port}"
    assert (shown["state"], shown["attempts"]) == ("DELIVERED", 1)
    assert (shown["lastStatusCode"], shown["nextAttemptAt"]) == (204, None)
    assert (none.status_code, none.json()["code"]) == (404, "NOT_FOUND")


async def test_a_failed_and_a_cancelled_job_are_told_as_well(api: Api, receiver: Receiver) -> None:
    policy = {"maxAttempts": 1}
    await api.submit("raises", ["bad"], webhook=receiver.url("/f"), failurePolicy=policy)
    endless = await api.submit("endless", ["x"], webhook=receiver.url("/c"))
    await api.ask("mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=endless)

    received = await receiver.wait_for(2)

    told = {one.path: json.loads(one.body)["state"] for one in received}
    assert told == {"/f": "FAILED", "/c": "CANCELLED"}


async def test_the_end_of_a_redrive_is_told_again(
    api: Api, receiver: Receiver, tmp_path: Path
) -> None:
    policy = {"maxAttempts": 1}
    job = await api.submit("raises", ["bad"], webhook=receiver.url(), failurePolicy=policy)
    await receiver.wait_for(1)

    answer = (await api.ask(REDRIVE, id=job))["redriveJob"]
    assert answer["__typename"] == "JobActionSuccess", answer
    received = await receiver.wait_for(2)

    assert [one.headers["fanfold-delivery"] for one in received] == [f"{job}.1", f"{job}.2"]
    assert [json.loads(one.body)["run"] for one in received] == [1, 2]


async def test_a_job_without_a_webhook_tells_nobody(service: RunningService, api: Api) -> None:
    await api.run("wordcount", POEM)

    assert queued(service) == [{}]


# ------------------------------------------------------------------ what goes wrong


async def test_a_receiver_that_fails_is_told_again_with_the_same_id(
    api: Api, receiver: Receiver
) -> None:
    receiver.answers = [status(500), status(302, Location=receiver.url("/elsewhere"))]
    job = await submit(api, receiver)

    received = await receiver.wait_for(3)

    assert {one.headers["fanfold-delivery"] for one in received} == {f"{job}.1"}
    assert {one.path for one in received} == {"/hook"}
    assert len({one.body for one in received}) == 1
    secret = await secret_of(api)
    assert [verify(secret, one)["id"] for one in received] == [job] * 3


async def test_a_receiver_that_wants_no_more_gets_no_more(
    service: RunningService, api: Api, receiver: Receiver
) -> None:
    receiver.answers = [status(410)]
    await submit(api, receiver)
    await receiver.wait_for(1)

    await eventually_async(lambda: queued(service) == [{}])


async def test_a_receiver_that_is_down_is_told_when_it_is_back(
    service: RunningService, api: Api
) -> None:
    port = free_port()
    job = await api.submit("wordcount", POEM, webhook=f"http://127.0.0.1:{port}/hook")
    await eventually_async(lambda: tries_of(service, job) >= 2, within_s=20)

    with receiving(port) as receiver:
        [received] = await receiver.wait_for(1, within_s=30)

    assert verify(await secret_of(api), received)["id"] == job


async def test_an_answer_that_never_ends_is_no_harm(
    service: RunningService, api: Api, receiver: Receiver
) -> None:
    receiver.answers = [status(200, body=b"x" * 5_000_000)]
    await submit(api, receiver)
    await receiver.wait_for(1)

    await eventually_async(lambda: queued(service) == [{}])


@pytest.mark.long
async def test_a_delivery_whose_worker_is_killed_before_the_answer_is_made_again(
    service: RunningService, api: Api, receiver: Receiver
) -> None:
    release = threading.Event()

    def hold(_: object) -> None:
        release.wait(30)

    receiver.answers = [hold]
    job = await submit(api, receiver)
    [first] = await receiver.wait_for(1)

    kill(sender_of(service, first))
    release.set()
    received = await receiver.wait_for(2, within_s=45)

    assert {one.headers["fanfold-delivery"] for one in received} == {f"{job}.1"}
    assert received[0].peer_port != received[1].peer_port
    await eventually_async(lambda: queued(service) == [{}])


def sender_of(service: RunningService, received: Received) -> int:
    """Return the worker whose connection a request came over."""
    for worker in workers_of(service):
        ports = [found.laddr[1] for found in worker.net_connections("tcp4")]
        if received.peer_port in ports:
            return worker.pid
    raise AssertionError(f"no worker sends from port {received.peer_port}")


async def test_an_erased_job_is_told_of_no_more(service: RunningService, api: Api) -> None:
    job = await api.submit("wordcount", POEM, webhook=f"http://127.0.0.1:{free_port()}/hook")
    await eventually_async(lambda: tries_of(service, job) >= 1)

    await api.ask(DELETE, id=job)

    await eventually_async(lambda: queued(service) == [{}], within_s=20)


# ------------------------------------------------------------------ what may be told


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://localhost/hook",
        "https://2130706433/hook",
        "http://198.51.100.7/hook",
        "http://example.com/hook",
        "https://user:secret@example.com/hook",
        "https://no-such-name.invalid/hook",
        "ftp://example.com/hook",
        "https://",
        "hook",
        "https://example.com/" + "a" * 3_000,
    ],
)
async def test_an_address_that_is_not_public_is_refused(api: Api, url: str) -> None:
    answer = await api.try_submit(program="wordcount", source={"inline": POEM}, webhook=url)

    assert answer["__typename"] == "ValidationError", answer
    assert [issue["path"] for issue in answer["issues"]] == [["input", "webhook"]]


async def test_a_webhook_does_not_hide_other_problems(api: Api) -> None:
    answer = await api.try_submit(
        program="wordcount", source={"inline": POEM}, webhook="https://10.0.0.1/", tags=[""]
    )

    paths = [issue["path"][1] for issue in answer["issues"]]
    assert sorted(paths) == ["tags", "webhook"]


# ------------------------------------------------------------------ what survives


@pytest.mark.long
async def test_a_delivery_survives_a_restart_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    settings = {"FANFOLD_WEBHOOK_HOSTS": "127.0.0.1"}
    hook, port = free_port(), free_port()

    with running_service(
        tmp_path / "data", tmp_path / "sources", port=port, settings=settings
    ) as service:
        async with Api(service.url) as api:
            url = f"http://127.0.0.1:{hook}/hook"
            job = await api.submit("wordcount", POEM, webhook=url)
            await eventually_async(lambda: tries_of(service, job) >= 1, within_s=20)
    with (
        receiving(hook) as receiver,
        running_service(
            tmp_path / "data", tmp_path / "sources", port=port, settings=settings
        ) as service,
    ):
        [received] = await receiver.wait_for(1, within_s=30)
        async with Api(service.url) as api:
            assert verify(await secret_of(api), received)["id"] == job
