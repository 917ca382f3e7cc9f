"""A stand-in for S3 that fails when told to; it shows what a client does, not what S3 does.

Lists any number of made-up objects page by page, and answers ranges of one object.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import cast
from urllib.parse import parse_qs, urlsplit

PAGE = 1_000
CONTENT = bytes(range(256)) * 1024
ETAG = '"0123456789abcdef0123456789abcdef"'

Fault = Callable[["Answer"], bool]
"""Answers a request wrongly and returns True, or returns False to have it answered well."""


class Answer(BaseHTTPRequestHandler):
    """One request."""

    @property
    def state(self) -> StandIn:
        return cast("_Server", self.server).state

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        state = self.state
        state.requests.append(f"{self.command} {self.path}")
        if state.faults and state.faults.pop(0)(self):
            return
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self.send(200, self._page(query).encode())
        else:
            self._send_content()

    def send(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("ETag", ETAG)
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def range(self) -> tuple[int, int]:
        """Return the range that is asked for."""
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if not wanted:
            return 0, len(CONTENT)
        start, _, last = wanted.partition("-")
        return int(start), int(last) + 1

    def _send_content(self) -> None:
        start, end = self.range()
        if not self.headers.get("Range"):
            self.send(200, CONTENT)
            return
        place = f"bytes {start}-{end - 1}/{len(CONTENT)}"
        self.send(206, CONTENT[start:end], Content_Range=place)

    def _page(self, query: dict[str, list[str]]) -> str:
        first = int(query.get("continuation-token", ["0"])[0])
        prefix = query.get("prefix", [""])[0]
        numbers = range(first, min(first + PAGE, self.state.objects))
        entries = "".join(
            f"<Contents><Key>{prefix}{number:09}.csv</Key><Size>{number + 1}</Size>"
            f"<LastModified>2026-01-31T12:00:00.000Z</LastModified><ETag>{ETAG}</ETag></Contents>"
            for number in islice(numbers, PAGE)
        )
        is_last = first + PAGE >= self.state.objects
        more = "" if is_last else f"<NextContinuationToken>{first + PAGE}</NextContinuationToken>"
        return (
            "<?xml version='1.0'?><ListBucketResult><Name>bucket</Name>"
            f"<IsTruncated>{str(not is_last).lower()}</IsTruncated>{more}{entries}"
            "</ListBucketResult>"
        )

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class StandIn:
    """What the server does.

    Attributes:
        endpoint: Its address.
        objects: How many objects there are.
        faults: What befalls the next requests, one each.
        requests: Those that came.
    """

    endpoint: str = ""
    objects: int = 1
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.state = state


@contextmanager
def s3_stand_in() -> Iterator[StandIn]:
    """Yield a running stand-in."""
    state = StandIn()
    with _Server(state) as server:
        state.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def status(code: int, error: str = "SlowDown") -> Fault:
    """Answer with an error."""

    def fault(answer: Answer) -> bool:
        answer.send(code, f"<Error><Code>{error}</Code></Error>".encode())
        return True

    return fault


def truncated(answer: Answer) -> bool:
    """Promise the whole range and close after half of it."""
    if answer.command == "HEAD":
        return False
    start, end = answer.range()
    place = f"bytes {start}-{end - 1}/{len(CONTENT)}"
    half = CONTENT[start : start + (end - start) // 2]
    answer.send(206, half, length=end - start, Content_Range=place)
    answer.close_connection = True
    return True


def stalled(answer: Answer) -> bool:
    """Send nothing after the head, until the client goes away."""
    if answer.command == "HEAD":
        return False
    start, end = answer.range()
    place = f"bytes {start}-{end - 1}/{len(CONTENT)}"
    answer.send(206, b"", length=end - start, Content_Range=place)
    answer.rfile.read(1)
    answer.close_connection = True
    return True


def no_fault(_: Answer) -> bool:
    """Answer well."""
    return False
