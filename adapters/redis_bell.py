"""The doorbell over Redis pub/sub: one connection for all listeners of a process.

A connection that went quiet is told from one that died by a ping of our own: redis-py reports
neither a cut link nor, on some paths, a restart. After every reconnect all listeners are rung,
because what was published in between is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from engine.bell import ANY_JOB, OnRing
from engine.cancellation import cancel_all
from engine.job import JobId

PING_EVERY_S: Final = 2.0
PONG_WITHIN_S: Final = 4.0
RECONNECT_AFTER_S: Final = (0.02, 0.1, 0.25, 0.5)
IDLE_CHANNEL: Final = "fanfold:bell:none"

log = logging.getLogger(__name__)


class RedisBell:
    """Implements ``engine.bell.Bell``. Use as an async context manager around its listeners."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[str, list[OnRing]] = {}
        self._acknowledged: dict[str, asyncio.Event] = {}
        self._pubsub: PubSub | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stale = False

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
        channel = f"fanfold:bell:{topic}"
        self._listeners.setdefault(channel, []).append(on_ring)
        try:
            if channel not in self._acknowledged:
                self._acknowledged[channel] = asyncio.Event()
                await self._send("SUBSCRIBE", channel)
            await self._acknowledged[channel].wait()
            yield
        finally:
            self._listeners[channel].remove(on_ring)
            if not self._listeners[channel]:
                del self._listeners[channel]
                self._acknowledged.pop(channel, None)
                await self._send("UNSUBSCRIBE", channel)

    async def _send(self, command: str, channel: str) -> None:
        """Tell Redis if it is there; a reconnect subscribes to whatever is listened to by then.

        Goes past ``PubSub``, which would reconnect here while the bell's own task does so too. When
        the connection is closed in this very moment, only the bell's own task needs to know.
        """
        connection = self._pubsub.connection if self._pubsub else None
        if connection is None or not connection.is_connected:
            return
        try:
            await connection.send_command(command, channel, check_health=False)
        except Exception as exc:  # noqa: BLE001 - redis-py and uvloop raise about anything for it
            log.warning("bell: could not %s: %s", command, exc)
            self._is_stale = True

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            pubsub = self._redis.pubsub()
            try:
                await self._connect(pubsub)
                failures = 0
                await self._hear(pubsub)
            except Exception as exc:  # noqa: BLE001 - without this task nothing would ever ring
                log.warning("bell: connection lost, trying again: %s", exc)
            finally:
                self._pubsub = None
                for event in self._acknowledged.values():
                    event.clear()
                with suppress(RedisError, OSError):
                    await asyncio.shield(pubsub.aclose())  # type: ignore[no-untyped-call]
            await asyncio.sleep(RECONNECT_AFTER_S[min(failures, len(RECONNECT_AFTER_S) - 1)])
            failures += 1

    async def _connect(self, pubsub: PubSub) -> None:
        """Subscribe to all that is listened to; an idle connection still needs one channel."""
        asked = set(self._listeners)
        await pubsub.subscribe(IDLE_CHANNEL, *asked)
        self._pubsub, self._is_stale = pubsub, False
        # Those who came or went meanwhile could tell nobody.
        if gone := asked - self._listeners.keys():
            await pubsub.unsubscribe(*gone)
        if missing := self._listeners.keys() - asked:
            await pubsub.subscribe(*missing)

    async def _hear(self, pubsub: PubSub) -> None:
        """Pass on rings until the connection fails or a ping stays unanswered.

        redis-py reconnects by itself as well, and forgets the subscriptions that were under way.
        """
        loop = asyncio.get_running_loop()
        connections = 0
        heard = loop.time()
        while True:
            message = await pubsub.get_message(timeout=PING_EVERY_S)
            now = loop.time()
            if message is not None:
                heard = now
                self._handle(message)
                connections += _opens_connection(message)
            if connections > 1 or self._is_stale:
                raise ConnectionError("subscriptions may be missing")
            if now - heard > PONG_WITHIN_S:
                raise TimeoutError("no answer to a ping")
            if message is None:
                await pubsub.ping()

    def _handle(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode() if message["channel"] else ""
        if message["type"] == "subscribe" and channel in self._acknowledged:
            self._acknowledged[channel].set()
            self._ring(channel, ANY_JOB)
        elif message["type"] == "message":
            self._ring(channel, JobId(message["data"].decode()))

    def _ring(self, channel: str, job: JobId) -> None:
        for on_ring in tuple(self._listeners.get(channel, ())):
            on_ring(job)


def _opens_connection(message: dict[str, Any]) -> bool:
    return (message["type"], message["channel"]) == ("subscribe", IDLE_CHANNEL.encode())
