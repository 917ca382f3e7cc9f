"""The API is told to end while clients are connected; a worker while it works."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.client import Api, pairs_of
from tests.support.killing import Stage, worker_of, workers_of
from tests.support.running import (
    STOPS_WITHIN_S,
    RunningService,
    free_port,
    is_running,
    running_service,
)
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LINES = ["a b", "hold", "b b"]
ANSWER = {"a": 1, "b": 3, "hold": 1}
ONCE: dict[str, Any] = {"batching": {"maxItems": 1}, "failurePolicy": {"maxAttempts": 1}}
PROTOCOL = Subprotocol("graphql-transport-ws")
FOLLOW = "subscription Follow($id: ID!) { jobStatus(id: $id) { version } }"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service that gives its tasks much time."""
    (tmp_path / "sources").mkdir()
    settings = {"FANFOLD_GRACE_SECONDS": "30", "FANFOLD_SQL": "off"}
    port = free_port()
    with running_service(
        tmp_path / "data", tmp_path / "sources", port=port, settings=settings
    ) as running:
        yield running


def end_of(service: RunningService) -> int:
    return service.process.wait(STOPS_WITHIN_S)


async def hear_all(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


async def held(api: Api, stage: Stage) -> tuple[str, int]:
    """Submit a job, and return it with the worker that holds one of its tasks."""
    job = await api.submit("held", LINES, params=stage.params("map"), **ONCE)
    return job, worker_of(await stage.begun())


async def test_a_worker_told_to_end_lets_its_task_finish(
    service: RunningService, api: Api, stage: Stage
) -> None:
    job, told = await held(api, stage)
    [process] = [worker for worker in workers_of(service) if worker.pid == told]

    process.send_signal(signal.SIGTERM)
    # It takes no more: what comes now is the other worker's.
    other = await api.run("wordcount", ["a"] * 5, batching={"maxItems": 1})
    by = {task["worker"] for task in await api.tasks(other["id"])}
    stage.let_go()
    status = await api.end_of(job)

    assert pairs_of(status) == ANSWER
    assert status["map"]["retried"] == 0
    assert not [name for name in by if f"-{told}-" in name]
    await eventually_async(lambda: not is_running(process))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_worker_told_to_hurry_hands_its_task_back(
    service: RunningService, api: Api, stage: Stage, number: signal.Signals
) -> None:
    job, told = await held(api, stage)
    [process] = [worker for worker in workers_of(service) if worker.pid == told]

    if number is signal.SIGTERM:
        process.send_signal(number)
        other = await api.run("wordcount", ["a"])
        assert other["state"] == "SUCCEEDED"
        assert is_running(process)
    process.send_signal(number)
    status = await api.end_of(job)

    assert pairs_of(status) == ANSWER
    assert status["map"]["retried"] == 1
    await eventually_async(lambda: not is_running(process))


async def test_the_service_told_to_end_lets_tasks_finish_and_a_second_word_does_not(
    service: RunningService, api: Api, stage: Stage
) -> None:
    await held(api, stage)
    workers = workers_of(service)

    service.process.send_signal(signal.SIGTERM)
    # The idle worker ends, the one with a task does not.
    await eventually_async(lambda: len([w for w in workers if is_running(w)]) == 1)
    service.process.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(end_of, service) == 0
    assert not any(map(is_running, workers))


async def test_open_sockets_are_closed_with_1001(
    service: RunningService, api: Api, stage: Stage
) -> None:
    job, _ = await held(api, stage)
    address = f"{service.url.replace('http', 'ws')}/graphql"
    async with connect(address, subprotocols=[PROTOCOL], proxy=None) as socket:
        await socket.send('{"type":"connection_init"}')
        assert "connection_ack" in str(await socket.recv())
        follow = {"query": FOLLOW, "variables": {"id": job}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": follow}))
        assert "version" in str(await socket.recv())

        service.process.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(hear_all(socket), 10)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "the server is going away")
    assert await asyncio.to_thread(end_of, service) == 0
    assert "Traceback" not in service.log
