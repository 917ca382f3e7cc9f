"""A real ``fanfold up`` in a process of its own, and the command run against it."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from tests.support.waiting import eventually

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = Path(__file__).with_name("programs.py")
SQL_PROGRAMS: Final = Path(__file__).with_name("sql_programs.py")
READY_WITHIN_S: Final = 60.0
FOX: Final = "the quick brown fox\njumps over the lazy dog\n"
# A job of it stays in map until somebody writes to the named pipe that is its item.
GATE: Final = """
from engine import Program

def wait_for_gate(item, ctx):
    with open(item, encoding="utf-8") as gate:
        yield {"said": gate.read()}

gate = Program(name="gate", map=wait_for_gate)
"""
STOPS_WITHIN_S: Final = 40.0
# Below those that the kernel gives to clients: a service may come back to its port. Processes that
# share the tests have a thousand each.
_PROCESS: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_PORTS: Final = itertools.count(os.getpid())


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that runs.

    Attributes:
        url: Its base address.
        sources: The folder that its jobs may read.
        data_dir: Its data folder.
        process: ``fanfold up`` itself.
    """

    url: str
    sources: Path
    data_dir: Path
    process: subprocess.Popen[str]

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.data_dir.with_name(f"{self.data_dir.name}.log").read_text()

    def fanfold(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command against this service."""
        return fanfold(*args, environ={"FANFOLD_URL": self.url}, stdin=stdin)

    @contextmanager
    def started(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Run one command against this service until the block is left, with pipes for output."""
        with subprocess.Popen(
            command(*args),
            env=environment({"FANFOLD_URL": self.url}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            yield process
            process.kill()

    def submit_gate(self, gate: Path) -> str:
        """Submit a job that runs until somebody writes to *gate*, a new named pipe."""
        os.mkfifo(gate)
        submitted = self.fanfold("submit", "gate", "-", stdin=f"{gate}\n")
        assert submitted.returncode == 0, submitted.stderr
        return submitted.stdout.strip()


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "app.cli", *args]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FANFOLD_")}
    return inherited | {"PYTHONPATH": str(ROOT)} | dict(extra)


def fanfold(
    *args: str, environ: Mapping[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args),
        env=environment(environ),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def free_port() -> int:
    """Return a port that nobody has, and that this process returns to nobody else for long."""
    return next(port for port in _ports() if _is_free(port))


def _ports() -> Iterator[int]:
    return (10_000 + 1_000 * _PROCESS + number % 1_000 for number in _PORTS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextmanager
def running_service(
    data_dir: Path,
    sources: Path,
    *,
    port: int,
    workers: int = 2,
    settings: Mapping[str, str] | None = None,
) -> Iterator[RunningService]:
    """Run ``fanfold up`` until the block is left; then it must end by itself, with all it started.

    Its log and the program ``gate`` are beside the data folder; it also has the programs of
    ``programs.py`` and ``sql_programs.py``. A test that ends it earlier looks at its exit status
    itself.
    """
    log_path = data_dir.with_name(f"{data_dir.name}.log")
    program = data_dir.with_name(f"{data_dir.name}_gate.py")
    program.write_text(GATE)
    environ = {
        "FANFOLD_DATA_DIR": str(data_dir),
        "FANFOLD_SOURCE_ROOTS": str(sources),
        "FANFOLD_PROGRAMS": f"{program},{PROGRAMS},{SQL_PROGRAMS}",
        **(settings or {}),
    }
    with log_path.open("a") as log:
        process = subprocess.Popen(
            command("up", "--port", str(port), "--workers", str(workers)),
            env=environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
    service = RunningService(url_of(port), sources, data_dir, process)
    try:
        eventually(lambda: is_alive(service), within_s=READY_WITHIN_S)
        yield service
        if process.returncode is not None:
            return
        children = psutil.Process(process.pid).children(recursive=True)
        stop(process)
        assert process.returncode == 0, log_path.read_text()
        eventually(lambda: not any(map(is_running, children)))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_alive(service: RunningService) -> bool:
    """Whether the service answers.

    Raises:
        AssertionError: It has ended instead.
    """
    if service.process.poll() is not None:
        raise AssertionError(f"fanfold up ended with {service.process.returncode}:\n{service.log}")
    try:
        with urllib.request.urlopen(f"{service.url}/livez", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def is_running(process: psutil.Process) -> bool:
    try:
        # One that nobody waits for stays listed as a zombie where process 1 does not reap.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C, as it were."""
    process.send_signal(signal.SIGINT)
    process.wait(STOPS_WITHIN_S)
