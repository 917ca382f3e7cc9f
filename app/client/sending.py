"""Sending a file of this machine, so that a job can read it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.client.address import Address
from app.client.amounts import printable, size_text
from app.client.errors import ServiceError
from app.client.service import TIMEOUT, Service
from app.client.sources import local_file, sent_source

_PIECE_BYTES: Final = 1024 * 1024


async def submit(
    at: str | Address, job: dict[str, Any], *, file: Path | None = None
) -> dict[str, Any]:
    """Submit a SubmitJobInput and return the job.

    A file that another machine's service does not have, but this one does, is sent.

    Args:
        at: The service.
        job: The input.
        file: To be sent in any case, in the place of the input's files.

    Raises:
        ServiceError: The job is refused, or the file does not arrive.
    """
    address = Address.of(at)
    async with Service(address) as service:
        if file is not None:
            return await service.submit(await _sent(service, job, file))
        try:
            return await service.submit(job)
        except ServiceError as exc:
            here = local_file(job["source"])
            if exc.code != "SOURCE_UNREADABLE" or here is None:
                raise
            if address.is_loopback:
                hint = f"this machine has {here}: --upload sends it"
                raise ServiceError(*exc.lines, hint, code=exc.code) from exc
            sys.stderr.write(f"the service does not have {printable(str(here))}: sending it\n")
            return await service.submit(await _sent(service, job, here))


async def _sent(service: Service, job: dict[str, Any], file: Path) -> dict[str, Any]:
    """Send *file* and return *job* with it as its input."""
    upload = await service.create_upload(file.name)
    with file.open("rb") as stream:
        await _put(upload["url"], stream, name=file.name)
    return job | {"source": sent_source(job["source"], upload["id"])}


async def _put(url: str, stream: BinaryIO, *, name: str) -> None:
    address = Address.parse(url)
    size = os.fstat(stream.fileno()).st_size
    with _shown(name, size) as advance:
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=not address.is_loopback) as client:
            try:
                answer = await client.put(
                    url, content=_pieces(stream, advance), headers={"Content-Length": str(size)}
                )
            except httpx.HTTPError as exc:
                message = f"{name}: sending {size_text(size)} broke off: {type(exc).__name__}"
                raise ServiceError(message, code="UNAVAILABLE") from exc
    if not answer.is_success:
        why = printable(answer.text.strip()[:200])
        code = "UNAVAILABLE" if answer.is_server_error else "FORBIDDEN"
        message = f"{name}: sending it was answered with {answer.status_code}: {why}"
        raise ServiceError(message, code=code)


async def _pieces(stream: BinaryIO, advance: Callable[[int], None]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(stream.read, _PIECE_BYTES):
        yield piece
        advance(len(piece))


@contextlib.contextmanager
def _shown(name: str, size_bytes: int) -> Iterator[Callable[[int], None]]:
    """Draw how much is sent, if anybody is looking; yield what is told of each piece."""
    out = Console(stderr=True, highlight=False)
    if not out.is_terminal or out.is_dumb_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("  sending {task.description}"),
        BarColumn(bar_width=min(28, max(out.width - 60, 8))),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, transient=True) as progress:
        bar = progress.add_task(printable(name), total=size_bytes)
        yield lambda count: progress.advance(bar, count)
