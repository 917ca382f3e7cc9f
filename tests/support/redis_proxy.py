"""A proxy before Redis that knows who calls which script of the ledger, and may act on it.

The product knows nothing of it: a process is killed at an exact step because the request, or its
answer, is in the proxy's hands at that moment. Every process that connects is known by its id.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha1
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from adapters.redis.client import ledger_script
from tests.support.resp import command, take_frames, words_of
from tests.support.step_killer import Call, Commit, Trap

_CREDENTIALS: Final = struct.Struct("3i")
_CHUNK_BYTES: Final = 1 << 16
_SUBSCRIBES: Final = (b"SUBSCRIBE", b"PSUBSCRIBE")


class RedisProxy:
    """Listens at ``url`` while the context is open.

    Attributes:
        traps: Looked at with every call.
        commits: Every answer to a commit, in order.
        doubles: Deliver every call of a script of the ledger twice, the second time for the answer.
        dispatches_twice: Put every task back into its queue when it has been claimed.
        mutes: Lose every doorbell.
    """

    def __init__(self, upstream: Path) -> None:
        self.traps: list[Trap] = []
        self.commits: list[Commit] = []
        self.doubles = False
        self.dispatches_twice = False
        self.mutes = False
        self.dispatched_again: set[tuple[bytes, ...]] = set()
        self._upstream = upstream
        self._folder = Path(tempfile.mkdtemp(prefix="proxy-", dir="/tmp"))
        self._links: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"unix://{self._folder}/s"

    def trap(self, trap: Trap) -> Trap:
        """Set *trap*."""
        self.traps.append(trap)
        return trap

    async def serve(self, told: asyncio.Event, ready: Callable[[], None]) -> None:
        server = await asyncio.start_unix_server(self._link, f"{self._folder}/s")
        ready()
        await told.wait()
        server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        shutil.rmtree(self._folder)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await _Link(self, self._upstream, reader, writer).run()
        self._links.discard(task)


class _Link:
    """One connection of a process to Redis."""

    def __init__(
        self,
        proxy: RedisProxy,
        upstream: Path,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._upstream = upstream
        self._reader, self._writer = reader, writer
        self._pid = _peer_of(writer.get_extra_info("socket"))
        self._unanswered: deque[Call] = deque()
        self._hears_bells = False

    async def run(self) -> None:
        """Pass on what comes until either side, or a trap, ends it."""
        try:
            from_redis, to_redis = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            self._writer.close()
            return
        both = [
            asyncio.create_task(self._pass_calls(to_redis)),
            asyncio.create_task(self._pass_answers(from_redis)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            to_redis.close()
            self._writer.close()

    async def _pass_calls(self, to_redis: asyncio.StreamWriter) -> None:
        stream = bytearray()
        while data := await self._reader.read(_CHUNK_BYTES):
            stream += data
            for frame in take_frames(stream):
                call = _call(self._pid, frame)
                if trap := self._trap_for(call, "before"):
                    trap.spring(call)
                    return
                self._hears_bells |= call.name.encode() in _SUBSCRIBES
                if self._proxy.doubles and call.name in _scripts().values():
                    self._note(call, await self._ask(frame))
                self._unanswered.append(call)
                to_redis.write(frame)
                await to_redis.drain()

    async def _pass_answers(self, from_redis: asyncio.StreamReader) -> None:
        stream, is_cut = bytearray(), False
        while data := await from_redis.read(_CHUNK_BYTES):
            stream += data
            for frame in take_frames(stream):
                if self._hears_bells:
                    if self._proxy.mutes and b"\r\nmessage\r\n" in frame[:20]:
                        continue
                elif is_cut:
                    self._note(self._unanswered.popleft(), frame)
                    continue
                elif not await self._is_passed(self._unanswered.popleft(), frame):
                    is_cut = True
                    continue
                self._writer.write(frame)
                await self._writer.drain()
            if is_cut and not self._unanswered:  # what was asked in the same breath is done as well
                return

    async def _is_passed(self, call: Call, answer: bytes) -> bool:
        self._note(call, answer)
        if self._proxy.dispatches_twice and call.name == "claim":
            await self._dispatch_again(call.args[:3])
        trap = None if answer.startswith(b"-NOSCRIPT") else self._trap_for(call, "after")
        if trap is not None:
            trap.spring(call)
        return trap is None

    def _trap_for(self, call: Call, when: Literal["before", "after"]) -> Trap | None:
        return next((t for t in self._proxy.traps if t.when == when and t.is_for(call)), None)

    def _note(self, call: Call, answer: bytes) -> None:
        if call.name == "commit" and answer.startswith(b":"):
            job, task, attempt = (word.decode() for word in call.args[:3])
            self._proxy.commits.append(Commit(job, task, int(attempt), int(answer[1:])))

    async def _dispatch_again(self, names: tuple[bytes, ...]) -> None:
        """Deliver a claimed task once more, as ``arq_dispatch.lua`` does it."""
        if names in self._proxy.dispatched_again:
            return
        self._proxy.dispatched_again.add(names)
        job, task, attempt = names
        payload = b'{"t":null,"f":"run_task","a":["%b","%b",%b],"k":{},"et":0}' % names
        entry = b":".join((job, task, attempt))
        is_async = b"loop" in await self._ask(command(b"HGET", b"fanfold:job:" + job, b"lane"))
        queue = b"fanfold:queue:" + (b"loop" if is_async and b"map" in task else b"process")
        await self._ask(command(b"SET", b"arq:job:" + entry, payload))
        await self._ask(command(b"ZADD", queue, b"0", entry))
        await self._ask(command(b"LPUSH", queue + b":wake", b"1"))

    async def _ask(self, frame: bytes) -> bytes:
        """Deliver a call on a connection of its own; return the answer."""
        reader, writer = await asyncio.open_unix_connection(self._upstream)
        writer.write(frame)
        stream, frames = bytearray(), list[bytes]()
        while not frames and (data := await reader.read(_CHUNK_BYTES)):
            stream += data
            frames = take_frames(stream)
        writer.close()
        return frames[0] if frames else b""


@contextmanager
def proxied(upstream: str) -> Iterator[RedisProxy]:
    """Run a proxy before the redis-server at *upstream*, in a thread of its own."""
    proxy = RedisProxy(Path(upstream.removeprefix("unix://")))
    started = threading.Event()
    ends: list[Callable[[], object]] = []

    async def run() -> None:
        told, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(told.set))
        await proxy.serve(told, started.set)

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="proxy")
    thread.start()
    started.wait(5)
    try:
        yield proxy
    finally:
        ends[0]()
        thread.join(10)


def _call(pid: int, frame: bytes) -> Call:
    command, *args = words_of(frame)
    if command.upper() != b"EVALSHA":
        return Call(pid, command.decode().upper(), tuple(args))
    digest, keys, *rest = args
    name = _scripts().get(digest.decode(), "EVALSHA")
    return Call(pid, name, tuple(rest[int(keys) :]))


def _peer_of(connection: socket.socket) -> int:
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(data)[0]
    return pid


@cache
def _scripts() -> dict[str, str]:
    """The ledger's scripts by the digest that Redis calls them by."""
    names = [path.name.removesuffix(".lua") for path in (files("adapters.redis") / "lua").iterdir()]
    return {sha1(ledger_script(name).encode()).hexdigest(): name for name in names}  # noqa: S324
