"""Many who connect at once: in turns, the surplus later, and nobody else waits for them."""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import httpx
import pytest

from tests.support.raw_http import Answer, ask, connection, read_answer
from tests.support.running import RunningService, free_port, running_service
from tests.support.waiting import eventually

PER_S: Final = 10
WAITING: Final = 8 * PER_S
SOCKETS: Final = 120
HANDSHAKE: Final = (
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
STREAM: Final = "POST /graphql HTTP/1.1\nContent-Type: application/json\nAccept: text/event-stream"
FOLLOW: Final = json.dumps({"query": 'subscription { jobStatus(id: "j-1") { version } }'}).encode()
AGAIN: Final = re.compile("[1-9]|10")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that lets few in at once."""
    folder = tmp_path_factory.mktemp("storms")
    (folder / "sources").mkdir()
    settings = {"FANFOLD_CONNECTS_PER_SECOND": str(PER_S)}
    with running_service(
        folder / "data", folder / "sources", port=free_port(), settings=settings, workers=1
    ) as running:
        yield running


def answers_within(sockets: list[socket.socket], within_s: float, *, most: int) -> list[Answer]:
    """Return what comes within a time, until there are *most* answers."""
    found: list[Answer] = []
    deadline = time.monotonic() + within_s
    with selectors.DefaultSelector() as waiting:
        for one in sockets:
            waiting.register(one, selectors.EVENT_READ)
        while len(found) < most and (left_s := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left_s):
                one = sockets[sockets.index(key.fileobj)]  # type: ignore[arg-type]
                waiting.unregister(one)
                found.append(read_answer(one))
    return found


def handshake(service: RunningService) -> int:
    with connection(service.url) as one:
        one.sendall(HANDSHAKE)
        return read_answer(one).status


def admitted(service: RunningService) -> dict[str, float]:
    text = httpx.get(f"{service.url}/metrics", trust_env=False).text
    found = re.findall(
        r'fanfold_connections_admitted_total\{how="([a-z ]+)",process="[^"]+"\} (\S+)', text
    )
    return {how: float(count) for how, count in found}


def test_who_comes_too_fast_waits_or_is_told_when_to_come_again(service: RunningService) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(connection(service.url)) for _ in range(SOCKETS)]
        for one in sockets:
            one.sendall(HANDSHAKE)
        stream = ask(service.url, STREAM, FOLLOW)
        ready = httpx.get(f"{service.url}/readyz", trust_env=False)
        answers = answers_within(sockets, 20, most=SOCKETS - WAITING)

    refused = [answer for answer in answers if answer.status == 503]
    let_in = [answer for answer in answers if answer.status == 101]
    assert len(refused) + len(let_in) == len(answers) >= SOCKETS - WAITING
    assert refused
    assert let_in
    assert all(AGAIN.fullmatch(answer.headers["retry-after"]) for answer in (*refused, stream))
    assert stream.status == 503
    assert json.loads(stream.body)["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert ready.status_code == 200
    counted = admitted(service)
    assert counted["refused"] > len(refused)
    assert counted["at once"] + counted["delayed"] >= len(let_in)


def test_who_leaves_while_waiting_is_no_error(service: RunningService) -> None:
    with ExitStack() as stack:
        for _ in range(SOCKETS):
            stack.enter_context(connection(service.url)).sendall(HANDSHAKE)

    eventually(lambda: handshake(service) == 101)

    assert "Traceback" not in service.log
