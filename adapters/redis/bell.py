"""The doorbell over Redis pub/sub: one connection for all listeners of a process.

A connection that went quiet is told from one that died by a ping of our own: redis-py reports
neither a cut link nor, on some paths, a restart. After every reconnect all listeners are rung,
because what was published in between is gone. The connection is redis-py's, but not its ``PubSub``,
which takes twenty times as long for a message and reconnects behind our back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import Connection
from redis.exceptions import RedisError

from engine.bell import ANY_JOB, OnRing
from engine.cancellation import cancel_all
from engine.job import JobId

PING_EVERY_S: Final = 2.0
PONG_WITHIN_S: Final = 4.0
RECONNECT_AFTER_S: Final = (0.02, 0.1, 0.25, 0.5)
IDLE_CHANNEL: Final = b"fanfold:bell:none"
"""An idle connection still needs one channel to be pinged as a subscriber."""
AT_ONCE: Final = 200
"""Messages handled before others have a turn."""
_PREFIX: Final = "fanfold:bell:"
_CHANNELS_A_COMMAND: Final = 1_000

log = logging.getLogger(__name__)


class RedisBell:
    """Implements ``engine.bell.Bell``. Use as an async context manager around its listeners."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[bytes, list[OnRing]] = {}
        # Of the present connection: what it was asked for, what it has acknowledged.
        self._asked: set[bytes] = set()
        self._live: set[bytes] = set()
        self._unsettled: dict[bytes, None] = {}
        self._has_unsettled = asyncio.Event()
        self._heard_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RedisBell:
        self._task = asyncio.create_task(self._stay_connected(), name="bell")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await cancel_all([self._task])

    @asynccontextmanager
    async def listen(self, topic: str, on_ring: OnRing) -> AsyncIterator[None]:
        """Call *on_ring* while the context is open; see ``Bell``.

        Entering waits until Redis has acknowledged the subscription, however long Redis is away.
        """
        is_live = asyncio.Event()

        def ring(job: JobId) -> None:
            is_live.set()
            on_ring(job)

        detach = self.attach(topic, ring)
        try:
            await is_live.wait()
            yield
        finally:
            detach()

    def attach(self, topic: str, on_ring: OnRing) -> Callable[[], None]:
        """Call *on_ring* until the answer is called; see ``Bell``."""
        channel = f"{_PREFIX}{topic}".encode()
        self._listeners.setdefault(channel, []).append(on_ring)
        if channel in self._live:
            asyncio.get_running_loop().call_soon(self._ring_if_attached, channel, on_ring)
        elif channel not in self._asked:
            self._settle(channel)

        def detach() -> None:
            self._listeners[channel].remove(on_ring)
            if not self._listeners[channel]:
                del self._listeners[channel]
                self._settle(channel)

        return detach

    def _ring_if_attached(self, channel: bytes, on_ring: OnRing) -> None:
        if on_ring in self._listeners.get(channel, ()):
            on_ring(ANY_JOB)

    def _settle(self, channel: bytes) -> None:
        """Have Redis told of *channel*, if it has to know anything by then."""
        self._unsettled[channel] = None
        self._has_unsettled.set()

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            pool: Any = self._redis.connection_pool
            connection: Connection = pool.make_connection()
            # What is quiet is not dead: that is told by pings.
            connection.socket_timeout = None
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                self._asked, self._live = set(), set()
                self._unsettled = dict.fromkeys([IDLE_CHANNEL, *self._listeners])
                self._has_unsettled.set()
                failures = 0
                await self._hear(connection)
            except Exception as exc:  # noqa: BLE001 - without this task nothing would ever ring
                log.warning("bell: connection lost, trying again: %s", exc)
            finally:
                self._live = set()
                with suppress(RedisError, OSError):
                    await asyncio.shield(connection.disconnect(nowait=True))
            await asyncio.sleep(RECONNECT_AFTER_S[min(failures, len(RECONNECT_AFTER_S) - 1)])
            failures += 1

    async def _hear(self, connection: Connection) -> None:
        """Pass on rings until the connection fails or a ping stays unanswered."""
        self._heard_at = asyncio.get_running_loop().time()
        tasks = [
            asyncio.create_task(self._read(connection), name="bell reads"),
            asyncio.create_task(self._tell(connection), name="bell tells"),
            asyncio.create_task(self._ping(connection), name="bell pings"),
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            failures = [task.exception() for task in ended]
            raise failures[0] or ConnectionError("the connection was left")
        finally:
            await cancel_all(tasks)

    async def _read(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time
        while True:
            for _ in range(AT_ONCE):
                self._handle(await connection.read_response())
                self._heard_at = now()
            await asyncio.sleep(0)

    async def _tell(self, connection: Connection) -> None:
        """Tell Redis of all who came and went, many at a time."""
        while True:
            await self._has_unsettled.wait()
            self._has_unsettled.clear()
            unsettled, self._unsettled = self._unsettled, {}
            wanted = self._listeners.keys() | {IDLE_CHANNEL}
            come = [c for c in unsettled if c in wanted and c not in self._asked]
            gone = [c for c in unsettled if c not in wanted and c in self._asked]
            self._asked.difference_update(gone)
            self._live.difference_update(gone)
            self._asked.update(come)
            for command, channels in (("UNSUBSCRIBE", gone), ("SUBSCRIBE", come)):
                for some in _parts(channels):
                    await connection.send_command(command, *some, check_health=False)

    async def _ping(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(PING_EVERY_S)
            if now() - self._heard_at > PONG_WITHIN_S:
                raise TimeoutError("no answer to a ping")
            await connection.send_command("PING", check_health=False)

    def _handle(self, message: Any) -> None:
        kind, channel = message[0], message[1]
        if kind == b"message":
            self._ring(channel, JobId(message[2].decode()))
        elif kind == b"subscribe" and channel in self._asked:
            self._live.add(channel)
            self._ring(channel, ANY_JOB)

    def _ring(self, channel: bytes, job: JobId) -> None:
        for on_ring in tuple(self._listeners.get(channel, ())):
            on_ring(job)


def _parts(channels: list[bytes]) -> Iterable[list[bytes]]:
    for start in range(0, len(channels), _CHANNELS_A_COMMAND):
        yield channels[start : start + _CHANNELS_A_COMMAND]
