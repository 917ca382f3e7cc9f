"""A service to which things happen, at random but by a seed: the same seed, the same schedule."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import psutil

from tests.support.killing import DURABLE, all_of, kill, redis_of, workers_of
from tests.support.running import RunningService, free_port, running_service

PAUSE_S: Final = (0.1, 0.6)
# Beyond a lease of 3 s, and within what Redis' clients wait for an answer.
WORKER_FROZEN_S: Final = 4.0
REDIS_FROZEN_S: Final = 1.0
# How often each happens, compared with the others.
WEIGHTS: Final = {
    "kill a worker": 6,
    "kill a task process": 3,
    "end a worker": 3,
    "freeze a worker": 2,
    "kill Redis": 2,
    "freeze Redis": 1,
    "kill the service": 1,
}


class Chaos:
    """A service in *folder* that is killed in parts, and as a whole.

    Use as a context manager.

    Attributes:
        service: As it runs now; its address stays.
        happened: What was done, in order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._stack = ExitStack()
        self._frozen: list[asyncio.Task[None]] = []
        self.happened: list[str] = []
        (folder / "sources").mkdir()

    def __enter__(self) -> Chaos:
        self.service = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def log(self) -> str:
        return (self._folder / "data.log").read_text()

    async def happen(self, dice: random.Random, until: Callable[[], bool], *, for_s: float) -> None:
        """Let things happen until told otherwise, or for some time; then nothing is frozen."""
        events: dict[str, Callable[[random.Random], Awaitable[None]]] = {
            "kill a worker": self._kill_a_worker,
            "kill a task process": self._kill_a_task_process,
            "end a worker": self._end_a_worker,
            "freeze a worker": self._freeze_a_worker,
            "kill Redis": self._kill_redis,
            "freeze Redis": self._freeze_redis,
            "kill the service": self._kill_the_service,
        }
        loop = asyncio.get_running_loop()
        end = loop.time() + for_s
        while not until() and loop.time() < end:
            await asyncio.sleep(dice.uniform(*PAUSE_S))
            [event] = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
            self.happened.append(event)
            with suppress(psutil.NoSuchProcess, ProcessLookupError, IndexError, ValueError):
                await events[event](dice)
        await asyncio.gather(*self._frozen)
        self._frozen.clear()

    def _start(self) -> RunningService:
        return self._stack.enter_context(
            running_service(
                self._folder / "data",
                self._folder / "sources",
                port=self._port,
                settings=DURABLE,
            )
        )

    async def _kill_a_worker(self, dice: random.Random) -> None:
        kill(dice.choice(workers_of(self.service)).pid)

    async def _kill_a_task_process(self, dice: random.Random) -> None:
        worker = dice.choice(workers_of(self.service))
        kill(dice.choice(worker.children()).pid)

    async def _end_a_worker(self, dice: random.Random) -> None:
        dice.choice(workers_of(self.service)).terminate()

    async def _freeze_a_worker(self, dice: random.Random) -> None:
        self._freeze(dice.choice(workers_of(self.service)), WORKER_FROZEN_S)

    async def _kill_redis(self, _: random.Random) -> None:
        kill(redis_of(self.service).pid)

    async def _freeze_redis(self, _: random.Random) -> None:
        self._freeze(redis_of(self.service), REDIS_FROZEN_S)

    async def _kill_the_service(self, _: random.Random) -> None:
        """Kill ``fanfold up``, with which all of it ends, and start it again."""
        started = all_of(self.service)
        kill(self.service.process.pid)
        self.service.process.wait()
        for process in started:  # what is frozen would not end
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        self.service = await asyncio.to_thread(self._start)

    def _freeze(self, process: psutil.Process, for_s: float) -> None:
        async def thaw() -> None:
            await asyncio.sleep(for_s)
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)

        process.suspend()
        self._frozen.append(asyncio.create_task(thaw()))
