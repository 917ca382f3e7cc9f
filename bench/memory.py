"""The most memory that a tree of processes has used, seen by looking often."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType

import psutil

EVERY_S = 0.02


class PeakMemory:
    """Samples while its context is open; proportional set size, so that shared pages count once.

    Args:
        pid: The process at the top; once it has ended, nothing is seen any more.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
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
        is_over = False
        while not is_over:  # once more at the end, so that what is short is seen too
            is_over = self._stopped.wait(EVERY_S)
            self._peak_bytes = max(self._peak_bytes, self._now_bytes())

    def _now_bytes(self) -> int:
        total = 0
        for process in _tree(self._pid):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total


def _tree(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []
