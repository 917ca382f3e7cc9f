"""One task process from its start to its end, and those who wait for its answers."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from engine.batch import Batch
from workers.frames import READY, frame_of_known, read_frame

LAST_ANSWER_WITHIN_S: Final = 0.1
EXIT_WITHIN_S: Final = 1.0

Message = dict[str, Any]
TakeBatches = Callable[[Sequence[Batch]], Awaitable[None]]

log = logging.getLogger(__name__)


class RunningProcess:
    """One process from its start to its end, and those who wait for its answers.

    An answer is what the process sent, ``{"crash": reason}`` when it died by itself, or
    ``{"lost": True}`` when it was ended from here. Every expected answer comes.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._writer = writer
        self._outgoing: list[bytes] = []
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._takers: dict[int, TakeBatches] = {}
        self._is_ending = False
        self._is_ended_from_here = False
        self._since = time.monotonic()
        self.ready = self.expect(READY)
        self._listener = asyncio.create_task(self._listen(reader))

    @property
    def is_usable(self) -> bool:
        """Whether it may be given attempts."""
        is_known_to_run = not self._is_ending and self._process.returncode is None
        return is_known_to_run and not _has_ended(self._process.pid)

    @property
    def age_s(self) -> float:
        """For how long it has been running."""
        return time.monotonic() - self._since

    def expect(self, id_: int, take: TakeBatches | None = None) -> asyncio.Future[Message]:
        """Return the answer to come; to be called while the process is usable."""
        if take is not None:
            self._takers[id_] = take
        answer = self._waiting[id_] = asyncio.get_running_loop().create_future()
        return answer

    def forget(self, id_: int) -> None:
        """Drop the answer if it still comes."""
        self._waiting.pop(id_, None)
        self._takers.pop(id_, None)

    def send(self, message: Message) -> None:
        """Send *message* unless the process has ended, together with others of this moment."""
        if not self.is_usable:
            return
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(frame_of_known(message))

    def _flush(self) -> None:
        """Send what one turn of the loop had to say in one write."""
        if self.is_usable:
            self._writer.write(b"".join(self._outgoing))
        self._outgoing.clear()

    async def end(self) -> None:
        """Kill the process and wait until it is gone and everybody told; repeatable."""
        if self.is_usable:
            self._is_ending = self._is_ended_from_here = True
            kill(self._process)
        # Not awaited itself: whoever waits here may be cancelled, the listener goes on.
        await asyncio.wait([self._listener])

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hand answers to those who wait; when the process dies, tell all of them.

        The end of the process counts, not that of the connection: what a program forked may hold
        the other end open.
        """
        reading = asyncio.create_task(self._hand_over_answers(reader))
        ending = asyncio.create_task(self._process.wait())
        await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
        self._is_ending = True
        grace_s = LAST_ANSWER_WITHIN_S if ending.done() else EXIT_WITHIN_S
        await asyncio.wait([reading, ending], timeout=grace_s)
        reading.cancel()
        kill(self._process)
        status = await ending
        self._writer.close()
        reason = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
        last = {"lost": True} if self._is_ended_from_here else {"crash": reason}
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(last)

    async def _hand_over_answers(self, reader: asyncio.StreamReader) -> None:
        with suppress(EOFError, ConnectionError):
            while True:
                message = await read_frame(reader)
                if "batches" in message:
                    if not await self._hand_over_batches(message):
                        return
                    continue
                answer = self._waiting.pop(message["id"], None)
                if answer is not None and not answer.done():
                    answer.set_result(message)

    async def _hand_over_batches(self, message: Message) -> bool:
        """Hand over a part of a plan; when nobody can use it, the process is ended.

        Returns:
            Whether to listen on. The outcome of a plan that lacks a part must not be heard.
        """
        take = self._takers.get(message["id"])
        if take is None:
            return True
        try:
            await take([Batch.from_json(batch) for batch in message["batches"]])
        except Exception as exc:  # noqa: BLE001 - the attempt is lost, whatever the reason
            log.warning("a plan is given up: %s", exc)
            self._is_ending = self._is_ended_from_here = True
            kill(self._process)
            return False
        return True


def kill(process: asyncio.subprocess.Process) -> None:
    """Kill the process and what it started; it leads a process group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Ask the kernel about a child; the event loop hears of its end a little later."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
