"""Subscribers by the thousand from one process, and no more work for each message than it takes.

Frames are taken apart by hand: the load must not be what is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

DOCUMENT = """
subscription Follow($id: ID!) {
  jobStatus(id: $id, minIntervalMs: 0) {
    id version state phase ratio bytesRead message updatedAt
  }
}
"""
CONNECTING_AT_ONCE = 100
CONNECTS_WITHIN_S = 120.0
HEARD_WITHIN_S = 60.0
_VERSION = b'"version":'


class Subscriber(asyncio.Protocol):
    """One socket with one subscription.

    Attributes:
        version: The newest that came.
    """

    __slots__ = ("_buffer", "_is_open", "_load", "_transport", "number", "subscribed", "version")

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self.number = number
        self.version = -1
        self._buffer = b""
        self._is_open = False
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{self._load.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError(f"closed: {self._buffer[:200]!r}"))
        self._load.lost += 1

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        start, end = 0, len(data)
        if not self._is_open:
            start = data.find(b"\r\n\r\n") + 4
            if start < 4:
                self._buffer = data
                return
            self._is_open = True
            self._send(b'{"type":"connection_init"}')
        while end - start >= 2:
            length, head = data[start + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[start + 2 : start + 4], "big"), 4
            if end - start < head + length:
                break
            self._take(data[start], data[start + head : start + head + length])
            start += head + length
        if start < end:
            self._buffer = data[start:]

    def close(self) -> None:
        self._transport.abort()

    def _take(self, opcode: int, message: bytes) -> None:
        if opcode == 0x89:
            self._send(message, opcode=0x8A)
            return
        at = message.find(_VERSION)
        if at >= 0:
            at += len(_VERSION)
            self.version = int(message[at : message.index(b",", at)])
            self._load.heard(self)
        elif b"connection_ack" in message:
            job = self._load.jobs[self.number % len(self._load.jobs)]
            payload = {"query": DOCUMENT, "variables": {"id": job}}
            id = f"operation-{self.number}"
            self._send(json.dumps({"id": id, "type": "subscribe", "payload": payload}).encode())
            self._send(b'{"type":"ping"}')
        elif b'"pong"' in message:
            if not self.subscribed.done():
                self.subscribed.set_result(None)
        elif opcode == 0x88 or b'"error"' in message:
            raise AssertionError(message)

    def _send(self, data: bytes, *, opcode: int = 0x81) -> None:
        length = len(data)
        head = (
            bytes((opcode, 0x80 | length))
            if length < 126
            else bytes((opcode, 0xFE)) + length.to_bytes(2, "big")
        )
        self._transport.write(head + b"\0\0\0\0" + data)  # a mask of zeros changes nothing


@dataclass
class Load:
    """Subscribers of some jobs, as many of each, and what they hear.

    Attributes:
        port: Of the server.
        jobs: What they follow, in turns.
        lost: How many connections have ended.
        latencies_ms: From a commit to a subscriber, while ``times`` has commits.
        times: When the version of a job was committed, by its number and version.
    """

    port: int
    jobs: Sequence[str]
    lost: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    times: dict[tuple[int, int], float] = field(default_factory=dict)
    subscribers: list[Subscriber] = field(default_factory=list)
    _missing: int = 0
    _wanted: int = 1 << 60
    _all_heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, sockets: int) -> float:
        """Connect and subscribe; return the seconds that it took."""
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                subscriber = Subscriber(self, number)
                self.subscribers.append(subscriber)
                await loop.create_connection(lambda: subscriber, "127.0.0.1", self.port)
                await subscriber.subscribed

        start = time.perf_counter()
        async with asyncio.timeout(CONNECTS_WITHIN_S):
            await asyncio.gather(*(one(number) for number in range(sockets)))
        return time.perf_counter() - start

    def heard(self, subscriber: Subscriber) -> None:
        """Take note of a state."""
        if self.times:
            job = subscriber.number % len(self.jobs)
            sent_at = self.times.get((job, subscriber.version))
            if sent_at is not None:
                self.latencies_ms.append((time.perf_counter() - sent_at) * 1000)
        if subscriber.version == self._wanted:
            self._missing -= 1
            if not self._missing:
                self._all_heard.set()

    async def round(self, version: int, change: Callable[[int], Awaitable[None]]) -> None:
        """Have every job changed to *version*, and wait until all subscribers have heard of it."""
        self._wanted, self._missing = version, len(self.subscribers)
        self._all_heard.clear()
        await change(version)
        async with asyncio.timeout(HEARD_WITHIN_S):
            await self._all_heard.wait()

    async def settle(self, version: int, change: Callable[[int], Awaitable[None]]) -> int:
        """Change until everybody has heard of one and the same change; return its version."""
        deadline = time.perf_counter() + HEARD_WITHIN_S
        while time.perf_counter() < deadline:
            version += 1
            self._wanted, self._missing = version, len(self.subscribers)
            self._all_heard.clear()
            await change(version)
            try:
                async with asyncio.timeout(5):
                    await self._all_heard.wait()
                    return version
            except TimeoutError:
                continue
        raise TimeoutError(f"{self._missing} subscribers hear nothing")

    def close(self) -> None:
        for subscriber in self.subscribers:
            subscriber.close()
