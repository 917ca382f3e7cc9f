"""One request each, as the commands make them; every function raises ServiceError."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from app.client.amounts import counted
from app.client.service import PAGE_ROWS, Service
from app.client.tables import csv_lines, jobs_table, json_line, rows_table


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


async def print_rows(url: str, job_id: str, *, row_format: str, limit: int | None) -> None:
    """Print a job's rows, page by page.

    Args:
        url: Base address of the service.
        job_id: The job.
        row_format: ``jsonl``, ``csv`` or ``table``.
        limit: Rows at most; None means all.
    """
    shown, row_count = 0, 0
    kept: list[Any] = []
    columns: list[str] = []
    async with Service(url) as service:
        page_rows = PAGE_ROWS if limit is None else min(max(limit, 1), PAGE_ROWS)
        async for page in service.result(job_id, page_rows=page_rows):
            columns, row_count = page.columns, page.row_count
            rows = page.rows if limit is None else page.rows[: limit - shown]
            if row_format == "table":
                kept += rows
            elif row_format == "csv":
                sys.stdout.write(csv_lines(columns, rows, header=shown == 0))
            else:
                sys.stdout.writelines(f"{json_line(row)}\n" for row in rows)
            shown += len(rows)
            if shown == limit:
                break
    sys.stdout.flush()
    if row_format == "table":
        _print(rows_table(columns, kept))
        if shown < row_count:
            more = counted(row_count - shown, "more row")
            sys.stderr.write(f"{more}: --limit {row_count} or --format jsonl prints them\n")


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        # A pipe has no width; cutting columns to a guess of 80 would lose data.
        console = Console(highlight=False, width=100_000)
    console.print(table)
