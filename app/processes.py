"""The task processes of this deployment, one for each lane."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

from app.launcher import tied
from app.runtime import environment_of, module_command
from app.settings import Settings
from workers.task_process import TaskProcess

SCRATCH = "scratch"


def program_process(settings: Settings, lane: str) -> TaskProcess:
    """Return a process that runs programs in Python: one at a time, or a lane's side by side."""
    return TaskProcess(
        tied(module_command("app.task", lane), at_death=signal.SIGKILL),
        environment=environment_of(settings, redis_url=settings.redis_url),
        one_at_a_time=lane == "process",
        scratch=scratch_of(settings, lane, pid=os.getpid()),
        longest_s=settings.longest_task_s,
    )


def sql_process(settings: Settings) -> TaskProcess:
    """Return a process that runs and checks SQL; it knows nothing of Redis."""
    return TaskProcess(
        tied(module_command("app.task", "sql"), at_death=signal.SIGKILL),
        environment=_sparse(environment_of(settings, redis_url=None)),
        one_at_a_time=True,
        scratch=scratch_of(settings, "sql", pid=os.getpid()),
        longest_s=settings.longest_task_s,
    )


def remove_leftover_scratch(settings: Settings) -> None:
    """Remove scratch folders of workers on this machine that are no more."""
    for folder in (settings.data_dir / SCRATCH).glob("*-*-*"):
        machine, pid, _ = folder.name.rsplit("-", 2)
        if machine == socket.gethostname() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def scratch_of(settings: Settings, lane: str, *, pid: int) -> Path:
    """Return where the worker *pid* of this machine lets the processes of a lane put things.

    Named after the machine too: containers that share a data folder give out the same ids.
    """
    return settings.data_dir / SCRATCH / f"{socket.gethostname()}-{pid}-{lane}"


def _sparse(environment: dict[str, str]) -> dict[str, str]:
    """Return what a process that runs hostile queries may know."""
    known = ("FANFOLD_", "AWS_", "PYTHON")
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(known) or name in ("PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
    }
