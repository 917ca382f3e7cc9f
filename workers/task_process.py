"""A task process as its worker sees it: started, given attempts, killed.

Programs run in a process of their own, so that a time limit, a cancellation and a crash act on code
that never yields, and the worker's heartbeats go on whatever a program does. The process ends with
its worker: it watches the connection, and the kernel kills it when the worker dies. What a program
starts or forks is killed with its process, unless it leaves the process group.

The ``async def`` maps of a worker share one process. When one of them does not stop although it
was asked to, all of them are ended together; the others are lost, which is not their fault, and
are to be handed back untried.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.cancellation import finish
from engine.errors import TaskCrashedError, TaskTimeoutError
from engine.job import JobError
from workers.frames import READY, frame, read_frame

STREAM_LIMIT: Final = 2**20
LAST_ANSWER_WITHIN_S: Final = 0.1
EXIT_WITHIN_S: Final = 1.0
STOPS_WITHIN_S: Final = 1.0
LOADS_WITHIN_S: Final = 30.0

Message = dict[str, Any]
TakeBatches = Callable[[Sequence[Batch]], Awaitable[None]]

log = logging.getLogger(__name__)


class AttemptFailed(Exception):
    """The attempt ended with an error that the ledger is to be told."""

    def __init__(self, error: JobError, log: Sequence[str] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.log = log


class AttemptLost(Exception):
    """The worker ended the attempt's process, for no fault of the attempt: charge no try."""


class TaskProcess:
    """One task process at a time and the attempts it has been given.

    Args:
        command: Starts the process; its scratch folder and the number of the file descriptor of
            its end of the connection are added as the last arguments.
        environment: The process' whole environment.
        scratch: A folder of the process alone, empty whenever it starts and gone when it is
            stopped.
        one_at_a_time: Stop an attempt by killing the process; otherwise it is asked to stop, and
            the process with all its attempts is killed only when it does not answer.
        loads_within_s: A process that loads its programs for longer is killed when an attempt that
            waits for it is to stop; before that it is left alone.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        scratch: Path,
        one_at_a_time: bool,
        loads_within_s: float = LOADS_WITHIN_S,
    ) -> None:
        self._command = command
        self._environment = environment
        self._scratch = scratch
        self._one_at_a_time = one_at_a_time
        self._loads_within_s = loads_within_s
        self._running: _Running | None = None
        self._ids = itertools.count()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the process unless it runs."""
        await self._started()

    async def run(self, attempt: Attempt, take: TakeBatches | None = None) -> Outcome:
        """Run one attempt; cancelling this stops it.

        Args:
            attempt: What to do.
            take: Takes the batches of a plan attempt before its outcome comes; while it does, the
                process waits.

        Raises:
            AttemptFailed: The attempt failed, ran out of time, or its process died.
            AttemptLost: Its process was ended because of another attempt, or by ``stop``.
        """
        try:
            message = {"attempt": attempt.to_json()}
            answer = await self._ask(message, within_s=attempt.timeout_s, take=take)
        except TimeoutError:
            limit = f"{attempt.timeout_s:g} s"
            raise _failed(TaskTimeoutError(f"{attempt.task} ran longer than {limit}")) from None
        return _outcome(answer)

    async def ask(self, message: Message, *, within_s: float) -> Message:
        """Send *message* and return the answer; cancelling this stops the process.

        Raises:
            TimeoutError: There was none in time; the process has been stopped.
            AttemptFailed: The process died.
            AttemptLost: The process was ended by ``stop``.
        """
        return _told(await self._ask(message, within_s=within_s))

    async def _ask(
        self, message: Message, *, within_s: float | None, take: TakeBatches | None = None
    ) -> Message:
        running = await self._started()
        id_ = next(self._ids)
        answer = running.expect(id_, take)
        try:
            await asyncio.wait([running.ready])  # loading the programs is not the attempt's time
            running.send({"id": id_, **message})
            await asyncio.wait([answer], timeout=within_s)
            if not answer.done():
                await self._stop_attempt(running, id_, answer)
                raise TimeoutError
        except asyncio.CancelledError:
            await finish(self._stop_attempt(running, id_, answer))
            raise
        finally:
            running.forget(id_)
        return answer.result()

    async def stop(self) -> None:
        """Kill the process and wait until it is gone."""
        async with self._starting:
            if self._running is not None:
                await self._running.end()
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    async def _started(self) -> _Running:
        async with self._starting:
            if self._running is not None and self._running.is_usable:
                return self._running
            if self._running is not None:
                await self._running.end()
            self._running = await self._start()
            return self._running

    async def _start(self) -> _Running:
        await asyncio.to_thread(_empty, self._scratch)
        ours, theirs = socket.socketpair()
        with theirs, _closed_on_error(ours):
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(self._scratch),
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=self._environment,
                start_new_session=True,
            )
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=STREAM_LIMIT)
        except BaseException:
            _kill(process)
            raise
        return _Running(process, reader, writer)

    async def _stop_attempt(
        self, running: _Running, id_: int, answer: asyncio.Future[Message]
    ) -> None:
        """Stop an attempt in the process it was given to, which may be an old one by now."""
        if answer.done():
            return
        if not running.ready.done():  # nothing has been sent
            if running.age_s < self._loads_within_s:
                return
            log.warning("a task process does not load its programs: ending it")
        elif not self._one_at_a_time:
            running.send({"cancel": id_})
            await asyncio.wait([answer], timeout=STOPS_WITHIN_S)
            if answer.done():
                return
            log.warning("an attempt did not stop when asked: ending its process and all in it")
        await running.end()
        await self.start()


class _Running:
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
        return not self._is_ending and self._process.returncode is None

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
        """Send *message* unless the process has ended."""
        if self.is_usable:
            self._writer.write(frame(message))

    async def end(self) -> None:
        """Kill the process and wait until it is gone and everybody told; repeatable."""
        if self.is_usable:
            self._is_ending = self._is_ended_from_here = True
            _kill(self._process)
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
        _kill(self._process)
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
            _kill(self._process)
            return False
        return True


@contextmanager
def _closed_on_error(connection: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the process and what it started; it leads a process group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def _told(answer: Message) -> Message:
    """Return what the process itself answered."""
    if "lost" in answer:
        raise AttemptLost("the task's process was ended, for no fault of the task")
    if "crash" in answer:
        raise _failed(TaskCrashedError(f"the task's process {answer['crash']}"))
    return answer


def _outcome(answer: Message) -> Outcome:
    _told(answer)
    if "error" in answer:
        raise AttemptFailed(JobError(**answer["error"]), answer["log"])
    return Outcome.from_json(answer["outcome"])


def _failed(exc: TaskTimeoutError | TaskCrashedError) -> AttemptFailed:
    return AttemptFailed(JobError(code=exc.code, message=exc.message, retryable=exc.retryable))
