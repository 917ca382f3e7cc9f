"""Callers who are slow, or never done, hold a connection for a while and nobody else up."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import httpx
import pytest

from tests.support.raw_http import ask, connection, read_answer
from tests.support.running import RunningService

POST = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
TYPENAME = json.dumps({"query": "{ __typename }"}).encode()


def test_a_thousand_unfinished_requests_hold_nobody_up(service: RunningService) -> None:
    unfinished = [b"", b"P", POST.encode(), POST.encode() + b"Content-Length: 100\r\n\r\n{"]
    with ExitStack() as stack:
        for index in range(1_000):
            server = stack.enter_context(connection(service.url))
            server.sendall(unfinished[index % len(unfinished)])

        answer = ask(
            service.url, "POST /graphql HTTP/1.1\nContent-Type: application/json", TYPENAME
        )

    assert answer.status == 200


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /graphql HTTP/1.1\r\nX-A: "])
@pytest.mark.long
def test_a_head_that_does_not_end_is_waited_for_a_while(
    service: RunningService, sent: bytes
) -> None:
    with connection(service.url) as server:
        server.sendall(sent)

        assert read_answer(server).status == 408


@pytest.mark.long
def test_bytes_now_and_then_buy_no_time(service: RunningService) -> None:
    with connection(service.url) as server:
        server.sendall(b"GET /graphql HTTP/1.1\r\nX-A: ")
        server.settimeout(1)
        status = None
        for _ in range(30):
            try:
                server.sendall(b"a")
                status = server.recv(12)
                break
            except TimeoutError:
                continue

    assert status == b"HTTP/1.1 408"


@pytest.mark.long
def test_a_body_that_stops_is_waited_for_a_while(service: RunningService) -> None:
    with connection(service.url) as server:
        server.settimeout(45)
        server.sendall(POST.encode() + b"Content-Length: 100\r\n\r\n{")

        assert read_answer(server).status == 408


@pytest.mark.long
def test_who_reads_no_answer_loses_the_connection(service: RunningService) -> None:
    request = POST.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(TYPENAME), TYPENAME)
    with connection(service.url) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        server.settimeout(25)
        with pytest.raises(ConnectionError):
            server.sendall(request * 200_000)


def test_a_connection_is_kept_and_requests_may_come_together(service: RunningService) -> None:
    request = POST.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(TYPENAME), TYPENAME)
    with connection(service.url) as server:
        server.sendall(request * 20)
        reader = server.makefile("rb")
        for _ in range(20):
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            while reader.readline() != b"\r\n":
                pass
            assert json.loads(reader.read(len(b'{"data":{"__typename":"Query"}}')))


def test_a_caller_who_leaves_early_is_no_error(service: RunningService) -> None:
    before = len(service.log)
    for _ in range(20):
        with connection(service.url) as server:
            server.sendall(POST.encode() + b"Content-Length: 100\r\n\r\n{")

    log = service.log[before:]
    assert "Traceback" not in log, log[log.index("Traceback") - 200 :]
    assert httpx.get(f"{service.url}/livez", trust_env=False).status_code == 200
