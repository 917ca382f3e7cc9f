"""Event streams that last: kept alive, ended by the server's end, left by their readers."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.running import STOPS_WITHIN_S, RunningService, free_port, running_service

FOLLOW: Final = {
    "query": "subscription($id: ID!) { jobStatus(id: $id) { version state } }",
    "operationName": None,
}


@pytest.fixture
def held(service: RunningService, tmp_path: Path) -> Iterator[str]:
    """A job that lasts as long as the test."""
    yield service.submit_gate(tmp_path / "gate")
    (tmp_path / "gate").write_text("go")


def follow(service: RunningService, job: str) -> Iterator[str]:
    """Yield the parts of a job's event stream, comments too."""
    body = {**FOLLOW, "variables": {"id": job}}
    with httpx.stream(
        "POST",
        f"{service.url}/graphql",
        json=body,
        headers={"Accept": "text/event-stream"},
        timeout=30,
        trust_env=False,
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        rest = ""
        for text in answer.iter_text():
            *parts, rest = (rest + text).split("\n\n")
            yield from parts


def state_of(event: str) -> str:
    status = json.loads(event.removeprefix("event: next\ndata: "))["data"]["jobStatus"]
    return str(status["state"])


def test_the_present_state_comes_first_and_the_end_last(
    service: RunningService, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = service.submit_gate(gate)
    events = follow(service, job)

    assert next(events) == ":"
    assert state_of(next(events)) in ("QUEUED", "RUNNING")
    threading.Thread(target=gate.write_text, args=("go",)).start()
    *_, last, complete = events

    assert state_of(last) == "SUCCEEDED"
    assert complete == "event: complete\ndata: "


def test_a_server_that_goes_away_does_not_say_that_it_is_complete(tmp_path: Path) -> None:
    port = free_port()
    with running_service(tmp_path / "data", tmp_path, port=port, workers=1) as service:
        events = follow(service, service.submit_gate(tmp_path / "gate"))
        assert next(events) == ":"
        assert state_of(next(events)) in ("QUEUED", "RUNNING")

        service.process.send_signal(signal.SIGINT)

        assert not any("complete" in event for event in events)
        assert service.process.wait(STOPS_WITHIN_S) == 0


@pytest.mark.long
def test_a_silent_stream_is_kept_alive(service: RunningService, held: str) -> None:
    events = follow(service, held)
    assert next(events) == ":"

    assert ":" in events  # again, before the time limit of the client


def test_readers_who_leave_are_no_error(service: RunningService, held: str) -> None:
    before = len(service.log)
    for _ in range(20):
        events = follow(service, held)
        assert next(events) == ":"
        events.close()  # type: ignore[attr-defined]

    assert "Traceback" not in service.log[before:]
