"""A load of equal requests over many connections, from a process of its own.

``python -m bench.load PORT CONNECTIONS SECONDS BODY`` prints requests a second, quantiles of the
time to the answer and the number of all requests as JSON. Written on bytes, so that it costs little
beside what it measures.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.report import percentile

WARM_UP_S: Final = 1.0
_LENGTH: Final = b"content-length: "


@dataclass(frozen=True)
class Load:
    """What came of a load; times in ms, all requests with those of the warm-up."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    requests: int


def load(port: int, body: bytes, *, connections: int, seconds: float, folder: Path) -> Load:
    """Send *body* to ``/graphql`` over and over, each connection waiting for its answer."""
    path = folder / "body.json"
    path.write_bytes(body)
    command = [sys.executable, "-m", "bench.load", str(port), str(connections), str(seconds)]
    done = subprocess.run([*command, str(path)], check=True, capture_output=True)
    return Load(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """One connection: the next request leaves when the answer to the last has come."""

    def __init__(self, request: bytes, times: list[float], until: float) -> None:
        self._request = request
        self._times = times
        self._until = until
        self._since = 0.0
        self._missing = 0
        self._buffer = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(_LENGTH) + len(_LENGTH)
            size = int(head[at:].split(b"\r\n", 1)[0])
            self._missing = size - (len(self._buffer) - end - 4)
            if not head.startswith(b"http/1.1 200") or b'"errors"' in self._buffer[end:]:
                self.ended.set_exception(AssertionError(self._buffer.decode()))
            self._buffer = b""
        if self._missing == 0:
            now = time.perf_counter()
            self._times.append(now - self._since)
            if now < self._until:
                self._ask()
            elif not self.ended.done():
                self._transport.close()
                self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the connection was closed"))

    def _ask(self) -> None:
        self._since = time.perf_counter()
        self._transport.write(self._request)


async def _run(port: int, request: bytes, connections: int, seconds: float) -> Load:
    warm_up = await _span(port, request, connections, WARM_UP_S)
    since = time.perf_counter()
    times = await _span(port, request, connections, seconds)
    took = time.perf_counter() - since
    p50_s, p99_s = percentile(times, 0.5), percentile(times, 0.99)
    return Load(len(times) / took, p50_s * 1000, p99_s * 1000, len(warm_up) + len(times))


async def _span(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    until = time.perf_counter() + seconds
    made = [
        await loop.create_connection(lambda: _Connection(request, times, until), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    return times


def _main() -> None:
    port, connections, seconds, path = sys.argv[1:]
    body = Path(path).read_bytes()
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    found = uvloop.run(_run(int(port), head.encode() + body, int(connections), float(seconds)))
    print(json.dumps(vars(found)))  # noqa: T201 - read by the process that asked


if __name__ == "__main__":
    _main()
