"""The most memory that a tree of processes has used, seen by looking often."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

EVERY_S = 0.02


class PeakMemory:
    """Samples while its context is open; proportional set size, so that shared pages count once.

    Args:
        pid: The process at the top.
        but: A process whose tree is left out.
    """

    def __init__(self, pid: int, *, but: int | None = None) -> None:
        self._pid = pid
        self._but = but
        self._peak_bytes = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def megabytes(self) -> float:
        """The peak so far."""
        return self._peak_bytes / 1e6

    def __enter__(self) -> PeakMemory:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY_S):
            self._peak_bytes = max(self._peak_bytes, self._now_bytes())

    def _now_bytes(self) -> int:
        top = psutil.Process(self._pid)
        left_out = _tree(self._but) if self._but is not None else set()
        total = 0
        for process in {top, *top.children(recursive=True)} - left_out:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        return total


def _tree(pid: int) -> set[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return {top, *top.children(recursive=True)}
    except psutil.Error:
        return set()
