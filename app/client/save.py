"""Writing a job's result as bytes: its files where they are in the wanted format, else its rows.

What goes to a file is there whole or not at all.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import httpx

from app.client.address import Address
from app.client.cells import json_line
from app.client.errors import ServiceError
from app.client.service import PAGE_ROWS, TIMEOUT, ResultPage, Service
from app.client.tables import csv_lines

if TYPE_CHECKING:
    from collections.abc import Iterator


async def save_rows(
    at: str | Address, job_id: str, *, row_format: str, limit: int | None, out: BinaryIO
) -> None:
    """Write a job's rows.

    Args:
        at: Address of the service.
        job_id: The job.
        row_format: ``jsonl``, ``csv`` or ``parquet``.
        limit: Rows at most; None means all.
        out: Where to.

    Raises:
        ServiceError: There is no such job, or it has no result; or a file of it does not come.
    """
    async with Service(at) as service:
        files = await service.files(job_id) if limit is None else []
        if _are_the_answer(files, row_format):
            for file in files:
                await _download(file, out)
            return
        async with aclosing(pages(service, job_id, limit=limit)) as found:
            if row_format == "parquet":
                await _write_parquet(found, out)
            else:
                await _write_text(found, row_format, out)
    out.flush()


async def pages(
    service: Service, job_id: str, *, limit: int | None
) -> AsyncGenerator[ResultPage, None]:
    """Yield a result page by page, *limit* rows at most and at least one page.

    Raises:
        ServiceError: There is no such job, or it has no result.
    """
    left = limit
    size = PAGE_ROWS if left is None else min(max(left, 1), PAGE_ROWS)
    async for page in service.result(job_id, page_rows=size):
        rows = page.rows if left is None else page.rows[:left]
        yield ResultPage(page.columns, rows, page.row_count)
        if left is not None:
            left -= len(rows)
            if left <= 0:
                return


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of *path* when the block is left without an error."""
    if not path.name:  # such as the root
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    new = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with new.open("xb") as file:
            yield file
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _are_the_answer(files: Sequence[dict[str, Any]], row_format: str) -> bool:
    """Tell whether *files*, one after another, are the rows in *row_format*."""
    if not files or not all(file["name"].endswith(f".{row_format}") for file in files):
        return False
    return row_format == "jsonl" or len(files) == 1


async def _download(file: dict[str, Any], out: BinaryIO) -> None:
    address, digest = Address.parse(file["url"]), sha256()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(timeout=TIMEOUT, trust_env=not address.is_loopback)
        )
        try:
            answer = await stack.enter_async_context(client.stream("GET", file["url"]))
            if answer.status_code != httpx.codes.OK:
                message = f"{file['name']}: the download was answered with {answer.status_code}"
                raise ServiceError(message, code="UNAVAILABLE")
            async for chunk in answer.aiter_raw():
                digest.update(chunk)
                out.write(chunk)
        except httpx.HTTPError as exc:
            message = f"{file['name']}: the download broke off: {type(exc).__name__}"
            raise ServiceError(message, code="UNAVAILABLE") from exc
    if digest.hexdigest() != file["sha256"]:
        message = f"{file['name']}: what came is not what the service has; try again"
        raise ServiceError(message, code="UNAVAILABLE")


async def _write_text(found: AsyncIterator[ResultPage], row_format: str, out: BinaryIO) -> None:
    is_first = True
    async for page in found:
        if row_format == "csv":
            text = csv_lines(page.columns, page.rows, header=is_first)
        else:
            text = "".join(f"{json_line(row)}\n" for row in page.rows)
        out.write(text.encode())
        is_first = False


async def _write_parquet(found: AsyncIterator[ResultPage], out: BinaryIO) -> None:
    rows = [row async for page in found for row in page.rows]
    # Only here: Arrow takes a while to load.
    from app.client.parquet import write_rows

    await asyncio.to_thread(write_rows, rows, out)
