"""HTTP as bytes, for requests that no client library would send."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

ANSWERS_WITHIN_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def connection(url: str) -> Iterator[socket.socket]:
    """Connect to the server at *url*; everything on the connection has a time limit."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    with socket.create_connection(address, timeout=ANSWERS_WITHIN_S) as server:
        yield server


def ask(url: str, head: str, body: bytes = b"") -> Answer:
    """Send one request and return the answer.

    Args:
        url: Of the server.
        head: Request line and headers, without ``Host`` and ``Content-Length``.
        body: What follows.
    """
    lines = [*head.split("\n"), "Host: localhost", f"Content-Length: {len(body)}", "", ""]
    with connection(url) as server:
        server.sendall("\r\n".join(lines).encode("latin-1") + body)
        return read_answer(server)


def read_answer(server: socket.socket) -> Answer:
    """Read one answer."""
    answer = http.client.HTTPResponse(server)
    with answer:
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())
