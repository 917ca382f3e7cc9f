"""One request each, as the commands make them; every function raises ServiceError."""

from __future__ import annotations

import sys
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from app.client.amounts import counted
from app.client.save import pages
from app.client.service import Service
from app.client.tables import failures_table, jobs_table, json_line, rows_table


async def submit(url: str, job_input: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and return it."""
    async with Service(url) as service:
        return await service.submit(job_input)


async def job(url: str, job_id: str) -> dict[str, Any]:
    """Return a job."""
    async with Service(url) as service:
        return await service.job(job_id)


async def cancel(url: str, job_id: str, *, reason: str | None) -> dict[str, Any]:
    """Stop a job and return it."""
    async with Service(url) as service:
        return await service.cancel(job_id, reason=reason)


async def redrive(url: str, job_id: str, *, params: dict[str, Any] | None) -> dict[str, Any]:
    """Run again what did not succeed of a job and return it."""
    async with Service(url) as service:
        return await service.redrive(job_id, params=params)


async def print_failures(url: str, job_id: str, *, limit: int | None, as_json: bool) -> None:
    """Print a job's failed items.

    Args:
        url: Base address of the service.
        job_id: The job.
        limit: How many at most; None means all.
        as_json: A line of JSON for each, instead of a table.
    """
    async with Service(url) as service:
        found = await service.failures(job_id, limit=limit)
    if as_json:
        sys.stdout.writelines(f"{json_line(each)}\n" for each in found.items)
        sys.stdout.flush()
        return
    if not found.total:
        sys.stderr.write("no item has failed\n")
    elif found.items:
        _print(failures_table(found.items))
    if found.total > len(found.items):
        more = counted(found.total - len(found.items), "more failure")
        sys.stderr.write(f"{more}: --limit {found.total} or --json prints them\n")


async def print_jobs(url: str, *, limit: int, as_json: bool) -> None:
    """Print the newest jobs."""
    async with Service(url) as service:
        found = await service.jobs(limit=limit)
    if as_json:
        sys.stdout.writelines(f"{json_line(each)}\n" for each in found)
        sys.stdout.flush()
    elif found:
        _print(jobs_table(found, now=datetime.now(UTC)))
    else:
        sys.stderr.write("no jobs yet: 'fanfold submit' makes one\n")


async def print_table(url: str, job_id: str, *, limit: int) -> None:
    """Print a job's first rows as a table.

    Args:
        url: Base address of the service.
        job_id: The job.
        limit: Rows at most.
    """
    kept: list[Any] = []
    columns: list[str] = []
    row_count = 0
    async with Service(url) as service:
        async with aclosing(pages(service, job_id, limit=limit)) as found:
            async for page in found:
                columns, row_count = page.columns, page.row_count
                kept += page.rows
    sys.stdout.flush()
    _print(rows_table(columns, kept))
    if len(kept) < row_count:
        more = counted(row_count - len(kept), "more row")
        sys.stderr.write(f"{more}: --limit {row_count} or --format jsonl prints them\n")


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        # A pipe has no width; cutting columns to a guess of 80 would lose data.
        console = Console(highlight=False, width=100_000)
    console.print(table)
