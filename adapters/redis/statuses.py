"""Where many jobs stand, in one call.

A command for each job would cost the client more than all that it says; so would redis-py's pool,
its retries and its two timers around each command, where a few jobs are read thousands of times a
second. So the connections are redis-py's, but kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import Connection
from redis.exceptions import NoScriptError

from adapters.redis.client import COMMAND_TIMEOUT_S, source_of, translated
from adapters.status_fields import FIELDS, StoredStatus
from engine.job import JobId, JobStatus

MAX_KEPT: Final = 2


class RedisStatuses:
    """Reads statuses.

    Args:
        redis: A client; whoever closes it closes what is kept here.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        names = ", ".join(f"'{name.decode()}'" for name in FIELDS)
        self._source = f"local NAMES = {{{names}}}\n{source_of('statuses')}"
        self._sha = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._idle: list[Connection] = []
        self._kept = 0

    async def read(self, tenant: str, ids: Sequence[JobId]) -> list[JobStatus | None]:
        """Return where jobs of *tenant* stand; None for those that do not exist.

        Raises:
            UnavailableError: Redis does not answer.
        """
        with translated():
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                found = await self._call(*ids)
        wanted = tenant.encode()
        return [
            StoredStatus(job, values, values[-1]) if values[0] == wanted else None
            for job, values in zip(ids, found, strict=True)
        ]

    async def _call(self, *args: Any) -> Any:
        if not self._idle and self._kept >= MAX_KEPT:
            pending: Any = self._redis.eval(self._source, 0, *args)
            return await pending
        connection = await self._connection()
        try:
            if not connection.is_connected:
                await connection.connect()  # type: ignore[no-untyped-call]
            try:
                return await _ask(connection, "EVALSHA", self._sha, 0, *args)
            except NoScriptError:
                return await _ask(connection, "EVAL", self._source, 0, *args)
        except BaseException:
            # An answer that was not read would be taken for the next one's.
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._idle.append(connection)

    async def _connection(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        self._kept += 1
        pool: Any = self._redis.connection_pool
        try:
            connection: Connection = await pool.get_connection()
        except BaseException:
            self._kept -= 1
            raise
        connection.socket_timeout = None  # there is one for the whole call
        return connection


async def _ask(connection: Connection, *command: Any) -> Any:
    await connection.send_command(*command, check_health=False)
    return await connection.read_response()
