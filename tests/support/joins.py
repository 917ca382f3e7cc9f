"""Many subscriptions over a few sockets, and whether each got what it was promised."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.client import ENDED
from tests.support.waiting import eventually_async

PROTOCOL: Final = Subprotocol("graphql-transport-ws")
FOLLOW: Final = """
subscription ($id: ID!, $after: Int, $pause: Int) {
  jobStatus(id: $id, afterVersion: $after, minIntervalMs: $pause) {
    version state map { succeeded }
  }
}
"""
FEED: Final = """
subscription { jobFeed(minIntervalMs: 0) { id version state map { succeeded } } }
"""


@dataclass(slots=True)
class Join:
    """One subscription.

    Attributes:
        job: The job that is followed.
        present: The newest version of it that anybody had seen before.
        after: The version after which states are wanted, None for all.
        versions: Those that came.
        succeeded: Map tasks that have succeeded, by the last state.
        has_seen_the_end: Whether the last state was terminal.
        has_left: Whether it was ended by the client.
        is_over: Whether it was ended by either side.
    """

    job: str
    present: int
    after: int | None
    versions: list[int] = field(default_factory=list)
    succeeded: int = 0
    has_seen_the_end: bool = False
    has_left: bool = False
    is_over: bool = False


@dataclass(slots=True)
class Feed:
    """One subscription to all jobs.

    Attributes:
        present: The newest version of each that anybody had seen before.
        jobs: What came of each, as if it was followed alone.
    """

    present: dict[str, int]
    jobs: dict[str, Join] = field(default_factory=dict)

    def of(self, job: str) -> Join:
        return self.jobs.setdefault(job, Join(job, self.present.get(job, 0), None))


@dataclass
class _Line:
    """One socket."""

    socket: ClientConnection
    joins: dict[str, Join | Feed] = field(default_factory=dict)


class Crowd:
    """All subscriptions, as an async context manager of its sockets.

    Attributes:
        joins: All that there were, in order.
        faults: What was not as promised, in words.
        newest: The newest version of each job that anybody has seen.
    """

    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self._ids = map(str, count())
        self.joins: list[Join] = []
        self.faults: list[str] = []
        self.newest: dict[str, int] = defaultdict(int)

    @property
    def lines(self) -> range:
        """The numbers of the sockets."""
        return range(len(self._lines))

    def live_on(self, line: int) -> int:
        """Return how many subscriptions the socket carries now."""
        return len(self._lines[line].joins)

    def saw(self, job: str, version: int) -> None:
        """Note that somebody has seen a version of a job."""
        self.newest[job] = max(self.newest[job], version)

    async def join(
        self, line: int, job: str, *, after: int | None = None, pause_ms: int = 0
    ) -> Join:
        """Follow *job* over one of the sockets."""
        join = Join(job, self.newest[job], after)
        self.joins.append(join)
        await self._subscribe(line, join, FOLLOW, {"id": job, "after": after, "pause": pause_ms})
        return join

    async def join_feed(self, line: int) -> Feed:
        """Follow all jobs over one of the sockets."""
        feed = Feed(dict(self.newest))
        await self._subscribe(line, feed, FEED, {})
        return feed

    async def leave(self, line: int, join: Join) -> None:
        """End a subscription; does nothing if it is over."""
        if join.is_over:
            return
        joins = self._lines[line].joins
        [name] = [name for name, other in joins.items() if other is join]
        join.has_left = join.is_over = True
        del joins[name]
        await self._say(line, name, "complete")

    async def over(self, *, within_s: float) -> None:
        """Wait until every subscription has ended."""
        await eventually_async(
            lambda: not any(line.joins for line in self._lines), within_s=within_s
        )

    async def listen(self, line: int) -> None:
        """Hear what comes over one socket, until it is closed."""
        async for message in self._lines[line].socket:
            self._hear(self._lines[line].joins, orjson.loads(message))
        self.faults += [f"{len(self._lines[line].joins)} were cut off"]

    def _hear(self, joins: dict[str, Join | Feed], message: dict[str, Any]) -> None:
        join = joins.get(message["id"])
        if isinstance(join, Join):
            self._hear_of_one(join, joins, message)
        elif isinstance(join, Feed):
            match message:
                case {"type": "next", "payload": {"data": {"jobFeed": status}}}:
                    self._see(join.of(status["id"]), status)
                case _:
                    self.faults.append(f"a feed got {message}")

    def _hear_of_one(
        self, join: Join, joins: dict[str, Join | Feed], message: dict[str, Any]
    ) -> None:
        match message["type"]:
            case "next" if status := (message["payload"].get("data") or {}).get("jobStatus"):
                self._see(join, status)
            case "complete":
                join.is_over = True
                del joins[message["id"]]
                if not join.has_seen_the_end and join.after is None:
                    self.faults.append(f"{join}: completed before the end")
            case _:
                join.is_over = True
                del joins[message["id"]]
                self.faults.append(f"{join}: got {message}")

    def _see(self, join: Join, status: dict[str, Any]) -> None:
        version = status["version"]
        if join.has_seen_the_end:
            self.faults.append(f"{join}: got {status} after the end")
        elif join.versions and version <= join.versions[-1]:
            self.faults.append(f"{join}: got {version} after it")
        elif not join.versions and version < join.present:
            self.faults.append(f"{join}: got {version}, which is of the past")
        elif join.after is not None and version <= join.after:
            self.faults.append(f"{join}: got {version}, which it has")
        join.versions.append(version)
        join.succeeded = status["map"]["succeeded"]
        join.has_seen_the_end = status["state"] in ENDED
        self.saw(join.job, version)

    async def _subscribe(
        self, line: int, join: Join | Feed, query: str, variables: dict[str, Any]
    ) -> None:
        name = next(self._ids)
        self._lines[line].joins[name] = join
        await self._say(line, name, "subscribe", {"query": query, "variables": variables})

    async def _say(self, line: int, name: str, kind: str, payload: Any = None) -> None:
        message = {"id": name, "type": kind} | ({"payload": payload} if payload else {})
        await self._lines[line].socket.send(orjson.dumps(message), text=True)


@asynccontextmanager
async def crowd_at(url: str, *, sockets: int) -> AsyncIterator[Crowd]:
    """Yield a crowd of nobody over a number of sockets."""
    lines = [_Line(await _connected(url)) for _ in range(sockets)]
    crowd = Crowd(lines)
    listening = [asyncio.create_task(crowd.listen(line)) for line in crowd.lines]
    try:
        yield crowd
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await asyncio.gather(*(line.socket.close() for line in lines))


async def _connected(url: str) -> ClientConnection:
    address = f"{url.replace('http', 'ws', 1)}/graphql"
    socket = await connect(address, subprotocols=[PROTOCOL], proxy=None, close_timeout=1)
    await socket.send('{"type": "connection_init"}')
    assert orjson.loads(await socket.recv())["type"] == "connection_ack"
    return socket
