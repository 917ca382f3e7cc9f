"""The rows of a job, printed or saved."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.defaults import DEFAULT_URL
from app.commands.options import TABLE_ROWS, JobIdArgument, RowFormat, Token, Url

if TYPE_CHECKING:
    from app.client.address import Address


def result(
    job_id: JobIdArgument,
    row_format: Annotated[
        RowFormat | None,
        typer.Option("--format", help="By default a table on a terminal, else jsonl."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help=f"Rows at most; {TABLE_ROWS} for a table, else all."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Save to a file, whole or not at all."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the job's end first.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print or save the rows of a job's result."""
    import asyncio

    from app.client import requests
    from app.client.address import Address
    from app.client.save import replaced, save_rows

    is_shown = output is None and sys.stdout.isatty()
    chosen = row_format or (RowFormat.TABLE if is_shown else RowFormat.JSONL)
    if chosen is RowFormat.TABLE and output is not None:
        raise typer.TyperException("a table is for looking at: save jsonl, csv or parquet")
    if chosen is RowFormat.PARQUET and is_shown:
        raise typer.TyperException("parquet is not for a terminal: give -o FILE")
    at = Address.parse(url, token)
    if wait:
        _wait_for_end(at, job_id)
    if chosen is RowFormat.TABLE:
        rows = TABLE_ROWS if limit is None else limit
        asyncio.run(requests.print_table(at, job_id, limit=rows))
        return
    with _told_if_unwritable(output), replaced(output) if output else nullcontext() as file:
        out = file or sys.stdout.buffer
        asyncio.run(save_rows(at, job_id, row_format=chosen.value, limit=limit, out=out))


def _wait_for_end(address: Address, job_id: str) -> None:
    import asyncio

    from app.client.show import Unseen, show_until_end

    asyncio.run(show_until_end(address, job_id, Unseen(sys.stderr)))


@contextmanager
def _told_if_unwritable(output: Path | None) -> Iterator[None]:
    """Tell in one line what is wrong with the file that a result is to be saved to."""
    try:
        yield
    except OSError as exc:
        if output is None:
            raise
        raise typer.TyperException(f"{output} cannot be written: {exc.strerror}") from exc
