"""The demonstration: a private service, one real job through the public API, its answer drawn."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from app.client.amounts import counted, duration_text, seconds_between, size_text
from app.client.errors import exit_status_of, has_ended
from app.client.service import Service
from app.client.show import drawing_of, show_until_end
from app.client.tables import ranking_table
from app.local.stdlib_files import StdlibFiles, find_stdlib_files
from app.local.up import running_service
from app.settings import load_settings

TOP: Final = 20
WORKERS: Final = 2
_JOBS_LOOKED_AT: Final = 5


async def run_demo(*, keep: bool) -> int:
    """Run the demonstration and return the exit status of its job.

    Reads no settings; nothing of a configured service is touched. The data folder is
    ``.fanfold/demo`` below the current folder, or a temporary one where that cannot be written.

    Args:
        keep: Leave the service running until SIGINT or SIGTERM.

    Raises:
        ConfigError: The private service does not start, such as for want of a redis-server.
        ServiceError: The job was refused.
    """
    _end_on_sigterm()
    with ExitStack() as stack:
        data_dir = _data_dir(stack)
        root = Path(sysconfig.get_path("stdlib"))
        console = Console(highlight=False)
        title = Text(f"Counting the words of Python's standard library, {root}", "dim")
        console.print(title, soft_wrap=True)
        files = await asyncio.to_thread(find_stdlib_files, root)
        settings = load_settings(
            {}, data_dir=data_dir, port=_free_port(), workers=WORKERS, source_roots=(root,)
        )
        stack.enter_context(_logs_in(data_dir / "demo.log"))
        async with running_service(settings) as url:
            end = await _count_words(url, files, console)
            if keep:
                _print_addresses(url, console)
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
    if not keep:
        console.print(
            Text("fanfold demo --keep leaves it running, with the console and GraphiQL", "dim")
        )
    return exit_status_of(end["state"])


async def _count_words(url: str, files: StdlibFiles, console: Console) -> dict[str, Any]:
    """Submit the job, draw it, print its answer; return its terminal state."""
    async with Service(url) as service:
        for left in await service.jobs(limit=_JOBS_LOOKED_AT):
            # Of a demonstration that was interrupted; its job would run beside this one.
            if not has_ended(left["status"]["state"]):
                await service.cancel(left["id"])
        job = await service.submit(
            {
                "program": "wordcount",
                "name": "stdlib words",
                "params": {"top": TOP},
                "source": {"files": {"uris": files.uris, "format": "TEXT"}},
                "tags": ["demo"],
            }
        )
        end = await show_until_end(url, job["id"], drawing_of(job))
        if end["state"] != "SUCCEEDED":
            return end
        rows = [row async for page in service.result(job["id"]) for row in page.rows]
    console.print(ranking_table(rows))
    seconds = seconds_between(job["createdAt"], end["updatedAt"])
    facts = [counted(files.count, "file"), size_text(end["bytesRead"])]
    console.print(f"{', '.join(facts)} in [bold]{duration_text(seconds)}[/]")
    return end


def _print_addresses(url: str, console: Console) -> None:
    console.print(f"\nconsole   [link={url}]{url}[/]")
    console.print(f"GraphiQL  [link={url}/graphql]{url}/graphql[/]")
    console.print(f"more      fanfold jobs --url {url}")
    console.print(Text("Ctrl-C ends it", "dim"))


def _data_dir(stack: ExitStack) -> Path:
    folder = Path(".fanfold", "demo").absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fanfold-demo-")))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _logs_in(path: Path) -> Iterator[None]:
    """Send standard error to a file, that of child processes too, which inherit it."""
    sys.stderr.flush()
    terminal = os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.dup2(log, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(log)


def _end_on_sigterm() -> None:
    """Let SIGTERM do what asyncio does on SIGINT: cancel us, so that all of it ends cleanly."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
