"""A redis-server of one test, which may be stopped, killed and started again where it was."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from app.local.embedded_redis import find_redis


class OwnRedis:
    """A redis-server on a unix socket in *folder*.

    Args:
        folder: Where the socket is, and what is kept.
        keeps: Append every change to a file and read it back at the next start, as the private
            Redis does; otherwise nothing is kept across a restart.
    """

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        self._folder = folder
        self._keeps = keeps
        self._binary = find_redis().path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._folder}/s"

    def start(self) -> None:
        """Start the server and wait until it says that it takes connections."""
        options = ["--port", "0", "--unixsocket", f"{self._folder}/s", "--save", ""]
        if self._keeps:
            options += ["--appendonly", "yes", "--appendfsync", "everysec"]
        self._process = subprocess.Popen(
            [self._binary, *options], cwd=self._folder, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        said = iter(self._process.stdout)
        assert any(b"eady to accept connections" in line for line in said), "redis-server ended"

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def status(self) -> str:
        """As psutil names it, such as ``psutil.STATUS_STOPPED``."""
        assert self._process is not None
        return str(psutil.Process(self._process.pid).status())

    def kill(self) -> None:
        if self._process is not None:
            with self._process as process:
                process.kill()


@contextmanager
def own_redis_in(folder: Path, *, keeps: bool = False) -> Iterator[OwnRedis]:
    """Yield a server that is not started yet; whatever state it is in, it ends with the block."""
    server = OwnRedis(folder, keeps=keeps)
    try:
        yield server
    finally:
        server.kill()
