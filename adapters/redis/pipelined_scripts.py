"""The ledger's scripts on one connection: calls leave as they come, answers come in their order.

A process with thousands of calls a second spends more on asking than Redis does on answering, when
each command takes a connection, sets two time limits and makes a system call. Here a few calls
leave in one write, while others are still being made: so Redis works while this process does. Each
is a script of its own, which happens whole or not at all, and has its own answer.

Not promised: any order between calls that wait at the same time. When the connection breaks, what
has no answer yet is called again, which is safe for every script of the ledger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError

from adapters.redis.client import LedgerScripts, ledger_script, reply, translated

TOGETHER: Final = frozenset({"accept", "claim", "commit", "fail", "release"})
"""Scripts of single tasks and of small jobs. What is large or rare goes alone, so that these never
wait behind it."""

CALLS_A_WRITE: Final = 8
"""So many leave at once, without waiting for the end of the loop's turn."""
CALLS_UNDER_WAY: Final = 128
MAX_BREAKS: Final = 3
RENEWED_EVERY_S: Final = 1.0


class PipelinedScripts(LedgerScripts):
    """``LedgerScripts`` for a process that makes thousands of calls a second.

    Args:
        redis: Where the scripts run.
        calls_under_way: Most calls without an answer, each some 50 µs of Redis' time.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        calls_under_way: int = CALLS_UNDER_WAY,
    ) -> None:
        super().__init__(redis)
        self._client = redis
        self._calls_under_way = calls_under_way
        self._few_under_way = max(0, calls_under_way - CALLS_A_WRITE)
        self._waiting: deque[_Call] = deque()
        self._sent: deque[_Call] = deque()
        self._writer: asyncio.StreamWriter | None = None
        self._line: asyncio.Task[None] | None = None
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._digests: dict[str, str] = {}

    async def call(self, name: str, *args: Any) -> Any:
        """Run the script *name*; see ``LedgerScripts``.

        Raises:
            UnavailableError: Redis does not answer.
        """
        if name not in TOGETHER:
            return await super().call(name, *args)
        command = _packed("EVALSHA", self._digest(name), 0, *args)
        call = _Call(name, command, asyncio.get_running_loop().create_future())
        self._put(call)
        return await call.answer

    def _put(self, call: _Call) -> None:
        self._waiting.append(call)
        loop = asyncio.get_running_loop()
        if self._line is None:
            self._line = loop.create_task(self._hold())
        elif self._writer is None:
            pass  # the line is not open yet, and begins with what waits
        elif len(self._waiting) >= CALLS_A_WRITE:
            self._write()
        elif len(self._waiting) == 1:
            loop.call_soon(self._write)

    def _write(self) -> None:
        """Send what waits, as far as there is room."""
        if self._writer is None or self._writer.is_closing():
            return
        commands: list[bytes] = []
        while self._waiting and len(self._sent) < self._calls_under_way:
            call = self._waiting.popleft()
            if not call.answer.done():
                commands.append(call.command)
                self._sent.append(call)
        if commands:
            self._writer.write(b"".join(commands))

    async def _hold(self) -> None:
        """Hold the line for as long as anybody waits for an answer."""
        try:
            while self._waiting or self._sent:
                try:
                    with translated():
                        await self._talk_patiently()
                except Exception as exc:  # noqa: BLE001 - it is those who wait that are to hear of it
                    self._refuse_all(exc)
        finally:
            self._line = None

    async def _talk_patiently(self) -> None:
        """Talk, and again on another connection when one breaks that has just been made."""
        pool: Any = self._client.connection_pool
        for breaks in range(1, MAX_BREAKS + 1):
            connection: AbstractConnection = await pool.get_connection()
            try:
                await self._talk(connection)
            except (ConnectionError, TimeoutError, OSError):
                await connection.disconnect(nowait=True)
                if breaks == MAX_BREAKS:
                    raise
            else:
                return
            finally:
                self._writer = None
                self._waiting.extendleft(reversed(self._sent))
                self._sent.clear()
                await pool.release(connection)

    async def _talk(self, connection: AbstractConnection) -> None:
        """Send calls and hand out answers until nobody waits."""
        loop = asyncio.get_running_loop()
        async with _limited_as_a_whole(connection) as (limit_s, limit):
            renewed_s = loop.time()
            self._writer = connection._writer
            self._write()
            while self._sent:
                try:
                    answer = await connection.read_response()
                except ResponseError as exc:
                    answer = exc
                self._answer(self._sent.popleft(), answer)
                if self._waiting and len(self._sent) <= self._few_under_way:
                    self._write()
                if loop.time() - renewed_s > RENEWED_EVERY_S:
                    renewed_s = loop.time()
                    limit.reschedule(renewed_s + limit_s)

    def _answer(self, call: _Call, answer: Any) -> None:
        if isinstance(answer, NoScriptError) and not call.is_loaded:
            call.is_loaded = True
            self._load(call)
        else:
            _give(call, answer)

    def _load(self, call: _Call) -> None:
        """Have Redis load the script of *call*, once for all who miss it, and call again."""
        name = call.name
        if name not in self._loading:
            loading = asyncio.get_running_loop().create_task(self._loaded(name))
            loading.add_done_callback(lambda _: self._loading.pop(name))
            self._loading[name] = loading
        self._loading[name].add_done_callback(lambda task: self._again(call, task))

    async def _loaded(self, name: str) -> None:
        with translated():
            await reply(self._client.script_load(ledger_script(name)))

    def _again(self, call: _Call, loading: asyncio.Task[None]) -> None:
        if loading.cancelled():
            call.answer.cancel()
        elif (exc := loading.exception()) is not None:
            _give(call, _alike(exc))
        else:
            self._put(call)

    def _refuse_all(self, exc: Exception) -> None:
        for call in (*self._sent, *self._waiting):
            _give(call, _alike(exc))
        self._sent.clear()
        self._waiting.clear()

    def _digest(self, name: str) -> str:
        """Return what Redis knows the script by."""
        if name not in self._digests:
            self._digests[name] = sha1(ledger_script(name).encode()).hexdigest()  # noqa: S324
        return self._digests[name]


@dataclass(slots=True)
class _Call:
    name: str
    command: bytes
    answer: asyncio.Future[Any]
    is_loaded: bool = False


def _packed(*command: Any) -> bytes:
    words: Any = command  # of which hiredis says that there is one
    packed: bytes = pack_command(words)
    return packed


@asynccontextmanager
async def _limited_as_a_whole(
    connection: AbstractConnection,
) -> AsyncIterator[tuple[float, asyncio.Timeout]]:
    """Have one time limit that is renewed: one for each answer costs more than reading it."""
    limit_s, connection.socket_timeout = connection.socket_timeout, None
    try:
        async with asyncio.timeout(limit_s) as limit:
            yield limit_s or 0.0, limit
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


def _alike(exc: BaseException) -> Exception:
    """Return an error of its own for each who waits: one that is raised twice grows."""
    found: Exception = type(exc)(*exc.args)  # type: ignore[assignment]
    found.__cause__ = exc.__cause__ or exc
    return found
