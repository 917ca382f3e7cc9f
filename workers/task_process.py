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
import math
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.attempt import Attempt, Outcome
from engine.cancellation import finish
from engine.errors import TaskCrashedError, TaskTimeoutError
from engine.isolation.mark import Mark, Marked, mark_path
from engine.isolation.narrow import MAX_RESTARTS, narrowed
from engine.job import JobError
from engine.spec import JobSpec
from workers.running_process import Message, RunningProcess, TakeBatches, kill

STREAM_LIMIT: Final = 2**20
STOPS_WITHIN_S: Final = 1.0
LOADS_WITHIN_S: Final = 30.0
_ENDED: Final = (TaskTimeoutError.code, TaskCrashedError.code)

log = logging.getLogger(__name__)


class AttemptFailed(Exception):
    """The attempt ended with an error that the ledger is to be told.

    Attributes:
        error: The error.
        log: What the program had logged.
        marked: The items that were under way, if the attempt was to tell.
    """

    def __init__(
        self, error: JobError, log: Sequence[str] = (), marked: Marked | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.log = log
        self.marked = marked


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
        longest_s: Longest that an attempt may run, whatever its job says; None for no such limit.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        scratch: Path,
        one_at_a_time: bool,
        loads_within_s: float = LOADS_WITHIN_S,
        longest_s: float | None = None,
    ) -> None:
        self._command = command
        self._environment = environment
        self._scratch = scratch
        self._one_at_a_time = one_at_a_time
        self._loads_within_s = loads_within_s
        self._longest_s = longest_s
        self._running: RunningProcess | None = None
        self._ids = itertools.count()
        self._starting = asyncio.Lock()
        self._one_alone = asyncio.Lock()

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
        if self._longest_s is not None:
            limit_s = min(self._longest_s, attempt.timeout_s or self._longest_s)
            attempt = replace(attempt, timeout_s=limit_s)
        if attempt.isolates:
            return await self._run_apart(attempt)
        return await self._run(attempt, take=take)

    async def _run(
        self,
        attempt: Attempt,
        *,
        take: TakeBatches | None = None,
        marks: bool = False,
        left_s: float = math.inf,
    ) -> Outcome:
        """Run an attempt once.

        Args:
            attempt: What to do.
            take: As for ``run``.
            marks: Whether to tell, should the process have to be ended, what it was at.
            left_s: What is left of the time that all runs of the attempt may take together.
        """
        mark: Mark | None = None
        within_s = min(left_s, math.inf if attempt.timeout_s is None else attempt.timeout_s)

        def begin() -> None:
            nonlocal mark
            with suppress(OSError):  # then nobody is told, and the attempt fails as a whole
                mark = Mark.create(mark_path(self._scratch, attempt)) if marks else None

        try:
            answer = await self._ask(
                {"attempt": attempt.to_json()},
                within_s=None if math.isinf(within_s) else within_s,
                take=take,
                begin=begin,
            )
        except TimeoutError:
            limit = f"{attempt.timeout_s if within_s == attempt.timeout_s else self._longest_s:g} s"
            exc = TaskTimeoutError(f"{attempt.task} ran longer than {limit}")
            raise _failed(exc, mark) from None
        return _outcome(answer, mark)

    async def _run_apart(self, attempt: Attempt) -> Outcome:
        """Run an attempt again and again, without items that end the process.

        Where attempts share a process, none can be blamed for its end: it is asked again in a
        process of its own.
        """
        policy = JobSpec.model_validate(attempt.spec).failure_policy
        if not self._one_at_a_time:
            try:
                return await self._run(attempt)
            except AttemptFailed as exc:
                if exc.error.code not in _ENDED:
                    raise
            async with self._alone() as alone:
                return await alone._run_apart(attempt)
        longest_s = math.inf if self._longest_s is None else self._longest_s
        ends_at = time.monotonic() + longest_s
        for _ in range(MAX_RESTARTS):
            left_s = max(0.0, ends_at - time.monotonic())
            try:
                return await self._run(attempt, marks=True, left_s=left_s)
            except AttemptFailed as exc:
                narrower = narrowed(attempt, exc.marked, exc.error, policy)
                if narrower is None or time.monotonic() >= ends_at:
                    raise
                log.info("%s of %s: %s; going on without", attempt.task, attempt.job, exc)
                attempt = narrower
        return await self._run(attempt, left_s=max(0.0, ends_at - time.monotonic()))

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[TaskProcess]:
        """Have a process of the same kind for one attempt at a time."""
        async with self._one_alone:
            alone = TaskProcess(
                self._command,
                environment=self._environment,
                scratch=self._scratch.with_name(f"{self._scratch.name}.alone"),
                one_at_a_time=True,
                loads_within_s=self._loads_within_s,
                longest_s=self._longest_s,
            )
            try:
                yield alone
            finally:
                await finish(alone.stop())

    async def ask(self, message: Message, *, within_s: float) -> Message:
        """Send *message* and return the answer; cancelling this stops the process.

        Raises:
            TimeoutError: There was none in time; the process has been stopped.
            AttemptFailed: The process died.
            AttemptLost: The process was ended by ``stop``.
        """
        return _told(await self._ask(message, within_s=within_s))

    async def _ask(
        self,
        message: Message,
        *,
        within_s: float | None,
        take: TakeBatches | None = None,
        begin: Callable[[], None] | None = None,
    ) -> Message:
        running = await self._started()
        id_ = next(self._ids)
        answer = running.expect(id_, take)
        try:
            if not running.ready.done():
                await asyncio.wait([running.ready])  # loading is not the attempt's time
            if begin is not None:
                begin()
            running.send({"id": id_, **message})
            if not await _comes(answer, within_s=within_s):
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

    async def _started(self) -> RunningProcess:
        async with self._starting:
            if self._running is not None and self._running.is_usable:
                return self._running
            if self._running is not None:
                await self._running.end()
            self._running = await self._start()
            return self._running

    async def _start(self) -> RunningProcess:
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
            kill(process)
            raise
        return RunningProcess(process, reader, writer)

    async def _stop_attempt(
        self, running: RunningProcess, id_: int, answer: asyncio.Future[Message]
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


async def _comes(answer: asyncio.Future[Message], *, within_s: float | None) -> bool:
    """Wait for an answer, which is nobody's to cancel; return whether it came."""
    if within_s is None:
        await asyncio.shield(answer)
    else:
        await asyncio.wait([answer], timeout=within_s)
    return answer.done()


@contextmanager
def _closed_on_error(connection: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def _told(answer: Message, mark: Mark | None = None) -> Message:
    """Return what the process itself answered."""
    if "lost" in answer:
        raise AttemptLost("the task's process was ended, for no fault of the task")
    if "crash" in answer:
        raise _failed(TaskCrashedError(f"the task's process {answer['crash']}"), mark)
    return answer


def _outcome(answer: Message, mark: Mark | None = None) -> Outcome:
    _told(answer, mark)
    if "error" in answer:
        raise AttemptFailed(JobError(**answer["error"]), answer["log"])
    return Outcome.from_json(answer["outcome"])


def _failed(exc: TaskTimeoutError | TaskCrashedError, mark: Mark | None = None) -> AttemptFailed:
    error = JobError(code=exc.code, message=exc.message, retryable=exc.retryable)
    return AttemptFailed(error, marked=None if mark is None else mark.read())


__all__ = ["LOADS_WITHIN_S", "AttemptFailed", "AttemptLost", "TakeBatches", "TaskProcess"]
