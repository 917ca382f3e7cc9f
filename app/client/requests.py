"""One request each, as the commands make them; every function raises ServiceError."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from rich.console import Console
from rich.table import Table

from app.client.address import Address
from app.client.amounts import counted, local_time_text, printable
from app.client.cells import json_line
from app.client.descriptions import params_table, plan_table, programs_table
from app.client.errors import ServiceError
from app.client.save import pages
from app.client.service import Service
from app.client.tables import failures_table, jobs_table, rows_table


async def job(at: str | Address, job_id: str) -> dict[str, Any]:
    """Return a job."""
    async with Service(at) as service:
        return await service.job(job_id)


async def cancel(at: str | Address, job_id: str, *, reason: str | None) -> dict[str, Any]:
    """Stop a job and return it."""
    async with Service(at) as service:
        return await service.cancel(job_id, reason=reason)


async def redrive(
    at: str | Address, job_id: str, *, params: dict[str, Any] | None
) -> dict[str, Any]:
    """Run again what did not succeed of a job and return it."""
    async with Service(at) as service:
        return await service.redrive(job_id, params=params)


async def update(at: str | Address, job_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Change a live job and return it."""
    async with Service(at) as service:
        return await service.update(job_id, changes)


async def delete(at: str | Address, job_id: str) -> None:
    """Erase a job that has ended."""
    async with Service(at) as service:
        await service.delete(job_id)


async def print_links(
    at: str | Address, job_ids: Sequence[str], *, ttl_s: int, as_json: bool
) -> None:
    """Print links of the console that work without a key; until when, to the side."""
    address = Address.of(at)
    async with Service(address) as service:
        made = await service.share(job_ids, ttl_s=ttl_s)
    query = urlencode({"token": made["token"]})
    links = [f"{address.url}/#/jobs/{quote(job_id)}?{query}" for job_id in job_ids]
    if as_json:
        sys.stdout.write(f"{json_line(made | {'links': links})}\n")
    else:
        sys.stdout.writelines(f"{link}\n" for link in links)
    sys.stdout.flush()
    if sys.stdout.isatty():
        sys.stderr.write(f"until {local_time_text(made['expiresAt'])}\n")


async def print_plan(at: str | Address, job_input: dict[str, Any], *, as_json: bool) -> None:
    """Print how a job would be run; warnings go to the side."""
    async with Service(at) as service:
        plan = await service.plan(job_input)
    if as_json:
        sys.stdout.write(f"{json_line(plan)}\n")
        sys.stdout.flush()
        return
    _print(plan_table(plan))
    sys.stdout.flush()
    sys.stderr.writelines(f"{printable(warning)}\n" for warning in plan["warnings"])


async def print_programs(at: str | Address, name: str | None, *, as_json: bool) -> None:
    """Print the programs, or the parameters of the one that is called *name*.

    Raises:
        ServiceError: There is none of that name.
    """
    async with Service(at) as service:
        found = await service.programs()
    if name is not None:
        found = [program for program in found if program["name"] == name]
        if not found:
            raise ServiceError(
                f"no program {name!r}: 'fanfold programs' lists them", code="NOT_FOUND"
            )
    if as_json:
        sys.stdout.writelines(f"{json_line(each)}\n" for each in found)
        sys.stdout.flush()
    elif name is None:
        _print(programs_table(found))
    else:
        _print(params_table(found[0]))


async def print_failures(
    at: str | Address, job_id: str, *, limit: int | None, as_json: bool
) -> None:
    """Print a job's failed items.

    Args:
        at: Address of the service.
        job_id: The job.
        limit: How many at most; None means all.
        as_json: A line of JSON for each, instead of a table.
    """
    async with Service(at) as service:
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


async def print_jobs(
    at: str | Address, *, limit: int, wanted: dict[str, Any], as_json: bool
) -> None:
    """Print the newest jobs that pass the JobFilter *wanted*."""
    async with Service(at) as service:
        found = await service.jobs(limit=limit, wanted=wanted)
    if as_json:
        sys.stdout.writelines(f"{json_line(each)}\n" for each in found)
        sys.stdout.flush()
    elif found:
        _print(jobs_table(found, now=datetime.now(UTC), width=_console().width))
    elif wanted:
        sys.stderr.write("no such jobs\n")
    else:
        sys.stderr.write("no jobs yet: 'fanfold submit' makes one\n")


async def print_table(at: str | Address, job_id: str, *, limit: int) -> None:
    """Print a job's first rows as a table.

    Args:
        at: Address of the service.
        job_id: The job.
        limit: Rows at most.
    """
    kept: list[Any] = []
    columns: list[str] = []
    row_count = 0
    async with Service(at) as service:
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
    _console().print(table)


def _console() -> Console:
    console = Console(highlight=False)
    # A pipe has no width; cutting columns to a guess of 80 would lose data.
    return console if console.is_terminal else Console(highlight=False, width=100_000)
