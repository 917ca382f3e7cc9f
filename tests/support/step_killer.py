"""Ends a process at a named step, from outside: the product has no code for it.

Most steps are calls to Redis that a proxy holds in its hands (``redis_proxy.py``): before a call is
carried out, or after it was and before the answer is back. That an output has been written while
nobody has been told is had by stopping the worker before its task process goes on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.support.killing import Stage, kill, worker_of
from tests.support.waiting import eventually_async

Act = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A script of the ledger, or another command, that a process sends.

    Attributes:
        pid: The process.
        name: Of the script, or the command.
        args: Without the keys.
    """

    pid: int
    name: str
    args: tuple[bytes, ...]

    @property
    def task(self) -> str:
        """The task that a script is about."""
        return self.args[1].decode("utf-8", "replace") if len(self.args) > 1 else ""


@dataclass(frozen=True, slots=True)
class Commit:
    """What the ledger answered to a commit: 0 fenced, 1 accepted, 2 repeated."""

    job: str
    task: str
    attempt: int
    verdict: int


@dataclass
class Trap:
    """Does something to the process that makes a call, once, and cuts its connection.

    Attributes:
        name: Of the script or command.
        task: Kind of the task, such as ``map``; any when empty.
        when: Before the call reaches Redis, or after it was carried out and before the answer is
            back.
        act: Given the process' id.
        caught: Process ids, one when it has sprung.
    """

    name: str
    task: str = ""
    when: Literal["before", "after"] = "before"
    act: Act = kill
    caught: list[int] = field(default_factory=list)

    def is_for(self, call: Call) -> bool:
        return (
            not self.caught
            and call.name == self.name
            and (not self.task or call.task.startswith(f"{self.task}-"))
        )

    def spring(self, call: Call) -> None:
        self.caught.append(call.pid)
        with suppress(ProcessLookupError):
            self.act(call.pid)


async def kill_when_written(stage: Stage, folder: Path) -> int:
    """Kill the worker of the held attempt when that has written something more into *folder*.

    The worker is stopped first, so it never hears that the attempt has ended.
    """
    worker = worker_of(await stage.begun())
    os.kill(worker, signal.SIGSTOP)
    there = _files(folder)
    stage.let_go()
    await eventually_async(lambda: _files(folder) - there, within_s=15)
    kill(worker)
    return worker


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
