"""The ledger's scripts, called together: many small calls travel in one write and one read.

A worker with thousands of tasks spends more on asking than Redis does on answering: each command by
itself takes a connection out of the pool, sets two timeouts and makes a system call. Here the calls
of one turn of the loop, and all that come while others are under way, go out together. Each is
still a script of its own, which happens whole or not at all, and has its own answer.

Not promised: any order between calls that wait at the same time. When a connection breaks, all of
its calls are repeated, which is safe for every script of the ledger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any, Final, NamedTuple

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from adapters.redis_client import LedgerScripts, ledger_script, reply, translated

TOGETHER: Final = frozenset({"accept", "claim", "commit", "fail", "release"})
"""Scripts of single tasks and of small jobs. What is large or rare goes alone, so that these never
wait behind it."""

CALLS_PER_TRIP: Final = 64
TRIPS_AT_ONCE: Final = 2


class CoalescedScripts(LedgerScripts):
    """``LedgerScripts`` for a process that makes thousands of calls a second.

    Args:
        redis: Where the scripts run.
        calls_per_trip: Most calls that travel together, each some 50 µs of Redis' time.
        trips_at_once: Connections that are used at the same time; while one's answers are read,
            another's calls run.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        calls_per_trip: int = CALLS_PER_TRIP,
        trips_at_once: int = TRIPS_AT_ONCE,
    ) -> None:
        super().__init__(redis)
        self._client = redis
        self._calls_per_trip = calls_per_trip
        self._trips_at_once = trips_at_once
        self._waiting: deque[_Call] = deque()
        self._trips: set[asyncio.Task[None]] = set()
        self._digests: dict[str, str] = {}

    async def call(self, name: str, *args: Any) -> Any:
        """Run the script *name*; see ``LedgerScripts``.

        Raises:
            UnavailableError: Redis does not answer.
        """
        if name not in TOGETHER:
            return await super().call(name, *args)
        loop = asyncio.get_running_loop()
        call = _Call(name, args, loop.create_future())
        self._waiting.append(call)
        if len(self._waiting) == 1:
            loop.call_soon(self._depart)
        return await call.answer

    def _depart(self) -> None:
        """Send what waits, as far as there are trips to be had; else the next arrival does it."""
        while self._waiting and len(self._trips) < self._trips_at_once:
            number = min(len(self._waiting), self._calls_per_trip)
            calls = [self._waiting.popleft() for _ in range(number)]
            trip = asyncio.get_running_loop().create_task(self._travel(calls))
            self._trips.add(trip)
            trip.add_done_callback(self._arrive)

    def _arrive(self, trip: asyncio.Task[None]) -> None:
        self._trips.discard(trip)
        self._depart()

    async def _travel(self, calls: Sequence[_Call]) -> None:
        wanted = [call for call in calls if not call.answer.done()]
        try:
            with translated():
                answers = await self._ask(wanted)
            for call, answer in zip(wanted, answers, strict=True):
                _give(call, answer)
        except Exception as exc:  # noqa: BLE001 - it is those who wait that are to hear of it
            for call in wanted:
                _give(call, _alike(exc))
        finally:
            for call in wanted:
                call.answer.cancel()

    async def _ask(self, calls: Sequence[_Call]) -> list[Any]:
        """Return the answers; that a script failed is an answer. Scripts are loaded as needed."""
        answers = await self._exchange(calls)
        missing = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missing:
            for name in {calls[at].name for at in missing}:
                await reply(self._client.script_load(ledger_script(name)))
            again = await self._exchange([calls[at] for at in missing])
            for at, answer in zip(missing, again, strict=True):
                answers[at] = answer
        return answers

    async def _exchange(self, calls: Sequence[_Call]) -> list[Any]:
        commands = [_packed("EVALSHA", self._digest(call.name), 0, *call.args) for call in calls]
        pool: Any = self._client.connection_pool
        connection: AbstractConnection = await pool.get_connection()
        try:
            found: list[Any] = await connection.retry.call_with_retry(
                lambda: _exchanged(connection, commands), lambda _: connection.disconnect()
            )
            return found
        finally:
            await pool.release(connection)

    def _digest(self, name: str) -> str:
        """Return what Redis knows the script by."""
        if name not in self._digests:
            self._digests[name] = sha1(ledger_script(name).encode()).hexdigest()  # noqa: S324
        return self._digests[name]


class _Call(NamedTuple):
    name: str
    args: tuple[Any, ...]
    answer: asyncio.Future[Any]


def _packed(*command: Any) -> bytes:
    words: Any = command  # of which hiredis says that there is one
    packed: bytes = pack_command(words)
    return packed


async def _exchanged(connection: AbstractConnection, commands: Sequence[bytes]) -> list[Any]:
    answers: list[Any] = []
    async with _limited_as_a_whole(connection):
        await connection.send_packed_command(commands)
        for _ in commands:
            try:
                answers.append(await connection.read_response())
            except ResponseError as exc:
                answers.append(exc)
    return answers


@asynccontextmanager
async def _limited_as_a_whole(connection: AbstractConnection) -> AsyncIterator[None]:
    """Have one time limit for an exchange: one for each answer costs more than reading it."""
    limit_s, connection.socket_timeout = connection.socket_timeout, None
    try:
        async with asyncio.timeout(limit_s):
            yield
    finally:
        connection.socket_timeout = limit_s


def _give(call: _Call, answer: Any) -> None:
    if call.answer.done():
        return
    if not isinstance(answer, Exception):
        call.answer.set_result(answer)
        return
    try:
        with translated():
            raise answer
    except Exception as exc:  # noqa: BLE001 - as above
        call.answer.set_exception(exc)


def _alike(exc: Exception) -> Exception:
    """Return an error of its own for each who waits: one that is raised twice grows."""
    found = type(exc)(*exc.args)
    found.__cause__ = exc.__cause__ or exc
    return found
