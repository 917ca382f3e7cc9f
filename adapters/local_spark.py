"""Spark on this machine: a run is a child process, for tests and where there is no EMR."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Final

from engine.errors import UnavailableError
from engine.failed_runs import FailedRun
from engine.job import JobId

log = logging.getLogger(__name__)

ENDS_WITHIN_S: Final = 10.0
LOOPBACK: Final = {
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_SUBMIT_ARGS": "--conf spark.ui.enabled=false pyspark-shell",
}
"""Spark listens on every address otherwise; what the process inherits comes before it."""


class LocalSpark:
    """Implements ``engine.runner.Launcher`` and ``engine.failed_runs.RunWatcher``.

    Only the object that started a run can stop it; the ledger ends it in any case.

    Args:
        command: Returns the program and arguments that work on a run.
        environ: Environment of that program.
    """

    def __init__(
        self,
        command: Callable[[JobId, int], Sequence[str]],
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._command = command
        self._environ = {**LOOPBACK, **environ}
        self._lock = Lock()
        self._running: dict[tuple[JobId, int], subprocess.Popen[bytes]] = {}

    def start(self, job: JobId, run: int, *, is_small: bool) -> None:
        """Start a process for a run that has none; see ``Launcher``."""
        with self._lock:
            process = self._running.get((job, run))
            if process is not None and process.poll() is None:
                return
            try:
                self._running[job, run] = subprocess.Popen(  # noqa: S603 - our own program
                    self._command(job, run), env=self._environ, stdin=subprocess.DEVNULL
                )
            except OSError as exc:
                raise UnavailableError(f"Spark cannot be started: {exc}") from exc

    def resume(self, job: JobId, run: int) -> bool:
        """Return False: a run begins anew; see ``Launcher``."""
        return False

    def stop(self, job: JobId, run: int) -> None:
        """End the process; see ``Launcher``."""
        with self._lock:
            process = self._running.pop((job, run), None)
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN_S)
            return
        process.kill()
        process.wait()

    def limit(self, job: JobId, run: int, *, max_concurrency: int | None, may_fail: bool) -> None:
        """Leave the phase that is under way as it is; see ``Launcher``. Later ones read it anew."""

    def failed_runs(self) -> Iterator[FailedRun]:
        """Yield runs whose process has failed, each once; see ``RunWatcher``."""
        with self._lock:
            ended = {
                key: process for key, process in self._running.items() if process.poll() is not None
            }
            for key in ended:
                del self._running[key]
        for (job, run), process in ended.items():
            if process.returncode:
                yield FailedRun(job, run, f"Spark's process ended with {process.returncode}")
