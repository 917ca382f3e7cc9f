"""A task process as its worker sees it: started, given attempts, killed.

Programs run in a process of their own, so that a time limit, a cancellation and a crash act on code
that never yields, and the worker's heartbeats go on whatever a program does. The process ends with
its worker: it watches the connection, and the kernel kills it when the worker dies. What a program
starts or forks is killed with its process, unless it leaves the process group.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from engine.attempt import Attempt, Outcome
from engine.cancellation import finish
from engine.errors import TaskCrashedError, TaskTimeoutError
from engine.job import JobError
from workers.frames import READY, frame, read_frame

STREAM_LIMIT: Final = 2**20
LAST_ANSWER_WITHIN_S: Final = 0.1
EXIT_WITHIN_S: Final = 1.0
STOPS_WITHIN_S: Final = 1.0

log = logging.getLogger(__name__)


class AttemptFailed(Exception):
    """The attempt ended with an error that the ledger is to be told."""

    def __init__(self, error: JobError, log: Sequence[str] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.log = log


class TaskProcess:
    """One task process and the attempts it has been given.

    Args:
        command: Starts the process; the number of the file descriptor of its end of the connection
            is added as the last argument.
        environment: The process' whole environment.
        one_at_a_time: Stop an attempt by killing the process; otherwise it is asked to stop, and
            the process with all its attempts is killed only when it does not answer.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], one_at_a_time: bool
    ) -> None:
        self._command = command
        self._environment = environment
        self._one_at_a_time = one_at_a_time
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ready: asyncio.Future[dict[str, Any]] | None = None
        self._ids = itertools.count()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the process unless it runs."""
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return
            if self._listener is not None:
                await self._listener  # those who waited for the old process are told, nobody else
            ours, theirs = socket.socketpair()
            with theirs, _closed_on_error(ours):
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=self._environment,
                    start_new_session=True,
                )
            self._ready = self._waiting[READY] = asyncio.get_running_loop().create_future()
            reader, self._writer = await asyncio.open_connection(sock=ours, limit=STREAM_LIMIT)
            self._listener = asyncio.create_task(self._listen(self._process, reader))

    async def run(self, attempt: Attempt) -> Outcome:
        """Run one attempt; cancelling this stops it.

        Raises:
            AttemptFailed: The attempt failed, ran out of time, or its process died.
        """
        await self.start()
        id_ = next(self._ids)
        answer = self._waiting[id_] = asyncio.get_running_loop().create_future()
        try:
            self._send({"id": id_, "attempt": attempt.to_json()})
            if self._ready is not None:
                await asyncio.wait([self._ready])  # loading the programs is not the attempt's time
            async with asyncio.timeout(attempt.timeout_s):
                message = await answer
        except TimeoutError:
            await self._stop_attempt(id_)
            limit = f"{attempt.timeout_s:g} s"
            raise _failed(TaskTimeoutError(f"{attempt.task} ran longer than {limit}")) from None
        except asyncio.CancelledError:
            await finish(self._stop_attempt(id_))
            raise
        finally:
            self._waiting.pop(id_, None)
        if "error" in message:
            raise AttemptFailed(JobError(**message["error"]), message["log"])
        return Outcome.from_json(message["outcome"])

    async def stop(self) -> None:
        """Kill the process and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        await process.wait()
        if self._listener is not None:
            await self._listener

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(frame(message))

    async def _stop_attempt(self, id_: int) -> None:
        if not self._one_at_a_time:
            stopped = self._waiting[id_] = asyncio.get_running_loop().create_future()
            self._send({"cancel": id_})
            await asyncio.wait([stopped], timeout=STOPS_WITHIN_S)
            if stopped.done():
                return
            log.warning("an attempt did not stop when asked: ending its process and all in it")
        await self.stop()
        await self.start()

    async def _listen(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader
    ) -> None:
        """Hand answers to those who wait; when the process dies, tell all of them.

        The end of the process counts, not that of the connection: what a program forked may hold
        the other end open.
        """
        reading = asyncio.create_task(self._hand_over_answers(reader))
        ending = asyncio.create_task(process.wait())
        await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
        grace_s = LAST_ANSWER_WITHIN_S if ending.done() else EXIT_WITHIN_S
        await asyncio.wait([reading, ending], timeout=grace_s)
        reading.cancel()
        _kill(process)
        status = await ending
        if self._writer is not None and self._process in (process, None):
            self._writer.close()
        reason = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
        crash = _failed(TaskCrashedError(f"the task's process {reason}")).error
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_result({"error": _plain(crash), "log": []})

    async def _hand_over_answers(self, reader: asyncio.StreamReader) -> None:
        with suppress(EOFError, ConnectionError):
            while True:
                message = await read_frame(reader)
                answer = self._waiting.pop(message["id"], None)
                if answer is not None and not answer.done():
                    answer.set_result(message)


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


def _failed(exc: TaskTimeoutError | TaskCrashedError) -> AttemptFailed:
    return AttemptFailed(JobError(code=exc.code, message=exc.message, retryable=exc.retryable))


def _plain(error: JobError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "retryable": error.retryable}
