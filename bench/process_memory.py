"""The most memory that each process of a service has used, as Linux has counted it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil


class ProcessMemory(NamedTuple):
    """One process: what it is, the most memory that it has used, and its time on a core so far."""

    name: str
    peak_megabytes: float
    cpu_s: float


def process_memory(pid: int) -> list[ProcessMemory]:
    """Return the processes of the tree below *pid* that live, from the top down."""
    top = psutil.Process(pid)
    found = []
    for process in [top, *top.children(recursive=True)]:
        with suppress(psutil.Error, OSError):
            used = process.cpu_times()
            peak = _peak_megabytes(process.pid)
            found.append(ProcessMemory(_name(process.cmdline()), peak, used.user + used.system))
    return found


def _peak_megabytes(pid: int) -> float:
    """Return the largest resident set so far; pages that processes share count in each."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _name(command: list[str]) -> str:
    """Return the role of a process of ours, else its program."""
    text = " ".join(command)
    if "app.task" in text:  # its lane is the last argument but two, a folder and a descriptor
        return f"tasks, {command[-3]}"
    roles = ((" up", "API"), ("worker", "worker"), ("redis", "Redis"))
    return next((role for ending, role in roles if ending in text), Path(command[0]).name)
