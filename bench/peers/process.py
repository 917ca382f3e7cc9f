"""A peer in a warm process of its own, so that its memory is the memory of one tree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from app.launcher import tied
from bench.jobs import Job
from bench.peers.peer import Peer, Work

ROOT = Path(__file__).parents[2]
START_WITHIN_S = 120.0
END_WITHIN_S = 20.0
RUN_WITHIN_S = float(os.environ.get("BENCH_PEER_TIMEOUT_S", "900"))


class PeerError(Exception):
    """A peer that failed; the text says how."""


class PeerProcess:
    """Runs jobs in a peer's process while its context is open; ends all that it started.

    Args:
        peer: Which.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._scratch = tempfile.TemporaryDirectory(
            prefix="fanfold-bench-peer-", ignore_cleanup_errors=True
        )
        self._log = Path(self._scratch.name) / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None

    @property
    def pid(self) -> int:
        """The process at the top of the peer's tree."""
        if self._process is None:
            raise RuntimeError("not entered")
        return self._process.pid

    def __enter__(self) -> Self:
        """Start.

        Raises:
            PeerError: It does not get warm.
        """
        ours, theirs = Pipe()
        number = theirs.fileno()
        command = [sys.executable, "-m", "bench.peers", self._peer.name, self._scratch.name]
        with self._log.open("wb") as log, theirs:
            self._process = subprocess.Popen(
                tied([*command, str(number)], at_death=signal.SIGKILL),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": self._scratch.name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[number],
            )
        self._line = ours
        try:
            self._answer(START_WITHIN_S)
        except PeerError:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def run(self, job: Job, folder: Path) -> tuple[int, float]:
        """Return the number of rows of a job's result, and the seconds it took.

        Raises:
            PeerError: The peer failed, ended, or took longer than ``BENCH_PEER_TIMEOUT_S``.
        """
        if self._line is None:
            raise RuntimeError("not entered")
        target = Path(self._scratch.name) / "result.parquet"
        with suppress(BrokenPipeError):
            self._line.send(Work(job, job.paths(folder), target))
        answer = self._answer(RUN_WITHIN_S)
        if isinstance(answer, str):
            raise PeerError(answer)
        rows, seconds = answer
        return rows, seconds

    def _answer(self, within_s: float) -> Any:
        if self._line is None:
            raise RuntimeError("not entered")
        try:
            if not self._line.poll(within_s):
                raise PeerError(f"no answer within {within_s:g} s")
            return self._line.recv()
        except (EOFError, ConnectionError) as exc:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise PeerError(f"its process ended: {''.join(last)}") from exc

    def _end(self) -> None:
        if self._process is None or self._line is None:
            return
        # Taken before, since children of a process that has ended are no longer known as such.
        tree = _descendants(self._process.pid)
        self._line.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_WITHIN_S)
        for process in tree:
            with suppress(psutil.Error):
                process.kill()
        self._process.kill()
        self._process.wait()
        self._scratch.cleanup()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
