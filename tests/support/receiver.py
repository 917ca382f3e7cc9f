"""A receiver of webhooks on loopback, in threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from tests.support.waiting import eventually_async


@dataclass(frozen=True, slots=True)
class Received:
    """One request.

    Attributes:
        path: Its path with the query.
        headers: By name in lower case.
        body: As it came.
        peer_port: Port that it was sent from.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    peer_port: int


Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, *, body: bytes = b"", **headers: str) -> Answer:
    """Answer with a status."""

    def answer(exchange: BaseHTTPRequestHandler) -> None:
        exchange.send_response(code)
        exchange.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            exchange.send_header(name, value)
        exchange.end_headers()
        exchange.wfile.write(body)

    return answer


@dataclass
class Receiver:
    """What has come.

    Attributes:
        port: Where it listens.
        received: The requests, in the order in which they came.
        answers: How the next ones are answered; 204 when there are none.
    """

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def wait_for(self, count: int, *, within_s: float = 20) -> list[Received]:
        """Return the first *count* requests when they have come."""
        await eventually_async(lambda: len(self.received) >= count, within_s=within_s)
        return self.received[:count]


class _Exchange(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = cast("_Server", self.server).receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = receiver.answers.pop(0) if receiver.answers else status(204)
        receiver.received.append(Received(self.path, headers, body, self.client_address[1]))
        answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: senders are killed."""


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """Receive until the block is left."""
    with _Server(("127.0.0.1", port), _Exchange) as server:
        server.receiver = Receiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.receiver
        finally:
            server.shutdown()
            thread.join()
