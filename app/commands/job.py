"""One job: followed, changed, stopped, run again, erased."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.defaults import DEFAULT_URL
from app.commands.following import follow_to_end
from app.commands.options import (
    TABLE_ROWS,
    JobIdArgument,
    JobJson,
    JsonLines,
    NewMaxConcurrency,
    NewTolerate,
    Params,
    StatusLines,
    Token,
    Url,
    Wait,
    Watch,
)


def watch(
    job_id: JobIdArgument,
    as_json: StatusLines = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> int:
    """Draw progress to the end; Ctrl-C leaves the job running."""
    import asyncio

    from app.client import requests
    from app.client.address import Address
    from app.client.states import begun_at

    at = Address.parse(url, token)
    job = asyncio.run(requests.job(at, job_id))
    return follow_to_end(at, job | {"createdAt": begun_at(job)}, as_json=as_json, only_end=False)


def cancel(
    job_id: JobIdArgument,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Kept with the job.")] = None,
    as_json: JobJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Stop a job; one that has ended stays as it is."""
    import asyncio

    from app.client import requests
    from app.client.address import Address

    job = asyncio.run(requests.cancel(Address.parse(url, token), job_id, reason=reason))
    _echo(job, as_json=as_json)


def update(
    job_id: JobIdArgument,
    max_concurrency: NewMaxConcurrency = None,
    tolerate: NewTolerate = None,
    add_tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag more; may come again.")
    ] = None,
    remove_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag less.")] = None,
    as_json: JobJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Change a live job: how wide it runs, what it tolerates."""
    import asyncio

    from app.client import requests
    from app.client.address import Address
    from app.client.inputs import tolerance

    changes: dict[str, Any] = {
        "maxConcurrency": max_concurrency,
        "addTags": add_tag,
        "removeTags": remove_tag,
    }
    changes = {key: value for key, value in changes.items() if value}
    try:
        changes |= tolerance(tolerate) if tolerate is not None else {}
    except ValueError as exc:
        raise typer.TyperException(str(exc)) from exc
    if not changes:
        message = "nothing to change: give --max-concurrency, --tolerate, --add-tag or --remove-tag"
        raise typer.TyperException(message)
    job = asyncio.run(requests.update(Address.parse(url, token), job_id, changes))
    _echo(job, as_json=as_json)


def redrive(
    job_id: JobIdArgument,
    param: Params = None,
    watch: Watch = False,
    wait: Wait = False,
    as_json: JsonLines = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> int:
    """Run again what did not succeed.

    Params that are given take the place of all that the job had.
    """
    import asyncio

    from app.client import requests
    from app.client.address import Address
    from app.client.inputs import parse_params

    try:
        params = parse_params(param) if param else None
    except ValueError as exc:
        raise typer.TyperException(str(exc)) from exc
    at = Address.parse(url, token)
    job = asyncio.run(requests.redrive(at, job_id, params=params))
    if not (watch or wait or as_json):
        typer.echo(f"{job['id']} {job['status']['state']}, run {job['status']['run']}")
        return 0
    # The summary tells how long this run took.
    this_run = job | {"createdAt": job["status"]["updatedAt"]}
    return follow_to_end(
        at, this_run, as_json=as_json, only_end=wait and not watch, done="begun again"
    )


def delete(
    job_id: JobIdArgument,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Erase a job that has ended, with its result."""
    import asyncio

    from app.client import requests
    from app.client.address import Address

    asyncio.run(requests.delete(Address.parse(url, token), job_id))
    typer.echo(f"{job_id} erased")


def failures(
    job_id: JobIdArgument,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help=f"Items at most; {TABLE_ROWS} for a table, else all."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each item.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the items that failed for good, and why."""
    import asyncio

    from app.client import requests
    from app.client.address import Address

    most = TABLE_ROWS if limit is None and not as_json else limit
    at = Address.parse(url, token)
    asyncio.run(requests.print_failures(at, job_id, limit=most, as_json=as_json))


def _echo(job: dict[str, Any], *, as_json: bool) -> None:
    """Print a job's id and state, or all that is known of it."""
    from app.client.cells import json_line

    typer.echo(json_line(job) if as_json else f"{job['id']} {job['status']['state']}")
