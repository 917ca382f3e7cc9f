"""Several API processes share a port: they answer together, die alone and end together."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.running import RunningService, fanfold, free_port, running_service
from tests.support.waiting import eventually

PROCESSES = 2


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("processes")
    settings = {"FANFOLD_API_PROCESSES": str(PROCESSES), "FANFOLD_INTROSPECTION": "off"}
    with running_service(
        folder / "data", folder, port=free_port(), workers=1, settings=settings
    ) as running:
        eventually(lambda: len(api_processes(running)) == PROCESSES)
        yield running


def api_processes(service: RunningService) -> set[psutil.Process]:
    """Return those that listen on the port."""
    port = int(service.url.rpartition(":")[2])
    return {
        process
        for process in psutil.Process(service.process.pid).children(recursive=True)
        if is_listening(process, port)
    }


def is_listening(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def test_they_see_the_same_jobs(service: RunningService) -> None:
    submitted = service.fanfold("submit", "wordcount", "-", "--wait", stdin="a b a\n")
    assert submitted.returncode == 0, submitted.stderr

    for _ in range(20):  # each time by another connection, so by either process
        answer = httpx.post(
            f"{service.url}/graphql",
            json={"query": "{ jobs { edges { node { status { state } } } } }"},
            trust_env=False,
        )
        states = [
            edge["node"]["status"]["state"] for edge in answer.json()["data"]["jobs"]["edges"]
        ]
        assert states == ["SUCCEEDED"]


def test_one_that_is_killed_is_started_again(service: RunningService) -> None:
    first, second = api_processes(service)

    first.send_signal(signal.SIGKILL)

    eventually(
        lambda: len(api_processes(service)) == PROCESSES and first not in api_processes(service)
    )
    assert second in api_processes(service)
    assert httpx.get(f"{service.url}/readyz", trust_env=False).status_code == 200


def test_nobody_else_gets_the_port(service: RunningService, tmp_path: Path) -> None:
    port = service.url.rpartition(":")[2]
    settings = {
        "FANFOLD_DATA_DIR": str(tmp_path / "other"),
        "FANFOLD_REDIS_URL": "redis://127.0.0.1:1",
    }
    for processes in ("1", "2"):
        other = fanfold("api", "--port", port, "--processes", processes, environ=settings)

        assert other.returncode == 2
        assert "cannot listen" in other.stderr


def test_a_setting_reaches_all_of_them(service: RunningService) -> None:
    body = json.dumps({"query": "{ __schema { queryType { name } } program { nam } }"})
    for _ in range(10):
        answer = httpx.post(
            f"{service.url}/graphql",
            content=body,
            headers={"Content-Type": "application/json"},
            trust_env=False,
        )
        messages = " ".join(error["message"] for error in answer.json()["errors"])
        assert "introspection" in messages
        assert "Did you mean" not in messages
