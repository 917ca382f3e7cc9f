"""A real service for a measurement: ``fanfold up`` as a process of its own on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.launcher import tied

READY_WITHIN_S = 30.0
PROGRAMS = Path(__file__).with_name("programs.py")
"""For ``FANFOLD_PROGRAMS``: the program of the jobs in Python."""


@dataclass(frozen=True)
class RunningService:
    """A service that runs: its address, its first process, and its private Redis."""

    url: str
    pid: int
    redis_url: str


@contextmanager
def service(
    *, workers: int = 2, source_root: Path | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[RunningService]:
    """Run a service while the context is open."""
    with tempfile.TemporaryDirectory(prefix="fanfold-bench-") as folder:
        port = _free_port()
        environment = {
            **os.environ,
            "FANFOLD_DATA_DIR": folder,
            "FANFOLD_PORT": str(port),
            "FANFOLD_WORKERS": str(workers),
            **({"FANFOLD_SOURCE_ROOTS": str(source_root)} if source_root else {}),
            **(extra or {}),
        }
        command = tied([sys.executable, "-m", "app.cli", "up"])
        log = Path(folder) / "bench.log"
        with (
            log.open("wb") as errors,
            subprocess.Popen(command, env=environment, stderr=errors) as process,
        ):
            try:
                _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process, log)
                redis_url = f"unix://{folder}/redis/redis.sock"
                yield RunningService(f"http://127.0.0.1:{port}", process.pid, redis_url)
            finally:
                process.send_signal(signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    pause = threading.Event()
    while time.monotonic() < deadline:
        with suppress(urllib.error.URLError, ConnectionError):
            if urllib.request.urlopen(url, timeout=1).status == 200:  # noqa: S310 - our own
                return
        if process.poll() is not None:
            raise RuntimeError(f"the service ended: {log.read_text(errors='replace')}")
        pause.wait(0.02)
    raise TimeoutError(f"{url} was not ready within {READY_WITHIN_S:g} s")
