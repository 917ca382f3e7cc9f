"""A lookout: reads again whenever the bell rings, for as long as somebody waits to hear of it.

It owns the order that makes following right: attach the listener, wait until it is attached, read,
then read once more after every ring. Rings during a read lead to one more read, not to many; rings
while nobody waits lead to none until somebody does. A slow timer and every reconnect ring too.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.bell import ANY_JOB, Bell
from engine.errors import FanfoldError, UnavailableError
from engine.job import JobId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a lookout is.

    Attributes:
        poll_s: Read again after this time without a ring, give or take a fifth.
        retry_s: Wait after the first failed read; doubles up to *max_retry_s*.
        max_retry_s: Longest wait after a failed read.
        rest_s: Shortest time from one read to the next of a whole tenant's jobs.
    """

    poll_s: float = 5.0
    retry_s: float = 0.05
    max_retry_s: float = 2.0
    rest_s: float = 0.05


class Lookout:
    """Calls *read* with the jobs that rang since the last call; ``ANY_JOB`` stands for all.

    Not promised: a read for each ring. *read* is never called twice at a time. While it raises
    ``UnavailableError`` it is tried again; any other exception ends the lookout, and everybody who
    waits is told.
    """

    def __init__(
        self,
        *,
        bell: Bell,
        topic: str,
        read: Callable[[frozenset[JobId]], Awaitable[None]],
        timing: Timing,
        rest_s: float = 0.0,
    ) -> None:
        self._bell = bell
        self._topic = topic
        self._read = read
        self._timing = timing
        self._rest_s = rest_s
        self._rung = {ANY_JOB}
        self._has_rung = asyncio.Event()
        self._waiting = 0
        self._is_wanted = asyncio.Event()
        self._round_ended = asyncio.Event()
        self._failure: FanfoldError | None = None
        self._task = asyncio.create_task(self._run(), name=f"lookout {topic}")

    @property
    def task(self) -> asyncio.Task[None]:
        """The task that listens; it ends soon after ``stop``."""
        return self._task

    @property
    def has_failed(self) -> bool:
        """Whether there will be no more reads."""
        return self._failure is not None

    def ring(self, job: JobId) -> None:
        """Ask for another read."""
        self._rung.add(job)
        self._has_rung.set()

    async def next_read(self) -> None:
        """Wait until another read has finished.

        Raises:
            FanfoldError: There will be none.
        """
        self._raise_failure()
        self._waiting += 1
        self._is_wanted.set()
        try:
            await self._round_ended.wait()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._is_wanted.clear()
        self._raise_failure()

    def stop(self, reason: FanfoldError | None = None) -> None:
        """Stop listening; whoever still waits gets *reason*."""
        self._fail(reason or FanfoldError("nobody follows any more"))
        self._is_wanted.set()
        self._task.cancel()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(self._failure.message) from self._failure

    def _fail(self, error: FanfoldError) -> None:
        self._failure = self._failure or error
        self._end_round()

    def _end_round(self) -> None:
        ended, self._round_ended = self._round_ended, asyncio.Event()
        ended.set()

    async def _run(self) -> None:
        try:
            await self._keep_listening()
        except Exception as exc:  # noqa: BLE001 - told to every follower
            _log.exception("following %s ended", self._topic)
            failure = FanfoldError(f"following {self._topic} ended")
            failure.__cause__ = exc
            self._fail(failure)

    async def _keep_listening(self) -> None:
        retry = Retry(self._timing)
        while self._failure is None:
            try:
                async with self._bell.listen(self._topic, self.ring):
                    self._rung.add(ANY_JOB)
                    await self._keep_reading(retry)
            except UnavailableError as exc:
                await retry.wait(self._topic, exc)

    async def _keep_reading(self, retry: Retry) -> None:
        while self._failure is None:  # a client library may swallow the cancellation
            await self._is_wanted.wait()
            rung = frozenset(self._rung)
            self._rung.clear()
            self._has_rung.clear()
            try:
                await self._read(rung)
            except UnavailableError as exc:
                self._rung |= rung
                await retry.wait(self._topic, exc)
                continue
            retry.reset()
            self._end_round()
            await asyncio.sleep(self._rest_s)
            await self._next_ring()

    async def _next_ring(self) -> None:
        patience_s = self._timing.poll_s * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        try:
            async with asyncio.timeout(patience_s):
                await self._has_rung.wait()
        except TimeoutError:
            self._rung.add(ANY_JOB)


class Retry:
    """Waits longer after every failure in a row."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._wait_s = timing.retry_s

    def reset(self) -> None:
        """Begin again with a short wait."""
        self._wait_s = self._timing.retry_s

    async def wait(self, topic: str, error: UnavailableError) -> None:
        """Wait; only the first failure in a row is worth a warning."""
        wait_s = self._wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        is_first = self._wait_s == self._timing.retry_s
        level = logging.WARNING if is_first else logging.DEBUG
        _log.log(level, "%s: %s; reading again in %.2f s", topic, error, wait_s)
        self._wait_s = min(self._wait_s * 2, self._timing.max_retry_s)
        await asyncio.sleep(wait_s)
