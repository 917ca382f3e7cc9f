"""The processes of a running service, for tests that end them."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil

from tests.support.running import RunningService, is_running
from tests.support.waiting import eventually_async

DURABLE = {"FANFOLD_REDIS_FSYNC": "always"}
"""For services whose Redis is killed: else it may hold changes back while the disk is busy."""
BEGUN = re.compile(r"(?P<task>\w+-\d+)\.(?P<attempt>\d+)\.(?P<pid>\d+)")


class Stage:
    """Where the program ``held`` waits: a folder with a named pipe.

    Args:
        folder: Made; each held attempt leaves a file in it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._gate = folder / "gate"
        os.mkfifo(self._gate)

    def params(self, where: str, *, attempts: int = 1) -> dict[str, Any]:
        """Parameters that hold the first *attempts* attempts of the task with the item ``hold``."""
        return {"folder": str(self._folder), "where": where, "attempts": attempts}

    async def begun(self, attempt: int = 1) -> int:
        """Wait until the attempt is held; return the id of its task process."""

        def pid() -> int | None:
            for path in self._folder.iterdir():
                found = BEGUN.fullmatch(path.name)
                if found and int(found["attempt"]) == attempt:
                    return int(found["pid"])
            return None

        found = await eventually_async(pid, within_s=15)
        assert found is not None
        return found

    def let_go(self) -> None:
        """Let the attempt that is held now go on."""
        self._gate.write_text("go")


def worker_of(task_process: int) -> int:
    """Return the id of the worker that a task process belongs to."""
    return psutil.Process(task_process).ppid()


def pid_of(task: dict[str, Any]) -> int:
    """Return the process id in the name of a task's worker."""
    return int(task["worker"].rsplit("-", 2)[1])


def workers_of(service: RunningService) -> list[psutil.Process]:
    """Return the worker processes."""
    found = []
    for child in psutil.Process(service.process.pid).children():
        try:
            if child.cmdline()[-1:] == ["worker"]:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def redis_of(service: RunningService) -> psutil.Process:
    """Return the private redis-server."""
    children = psutil.Process(service.process.pid).children()
    [redis] = [child for child in children if "redis-server" in child.name()]
    return redis


def all_of(service: RunningService) -> list[psutil.Process]:
    """Return every process that the service started."""
    return psutil.Process(service.process.pid).children(recursive=True)


def kill(pid: int) -> None:
    """End a process as the kernel does when memory runs out."""
    os.kill(pid, signal.SIGKILL)


async def all_gone(processes: list[psutil.Process], *, within_s: float) -> None:
    """Wait until none of *processes* runs any more."""

    def left() -> bool:
        return not [process for process in processes if is_running(process)]

    await eventually_async(left, within_s=within_s)
