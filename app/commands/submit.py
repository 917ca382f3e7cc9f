"""New jobs: submitted, or only planned."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from app.commands.following import follow_to_end
from app.commands.options import (
    DEFAULT_URL,
    BatchItems,
    Format,
    JsonLines,
    MaxConcurrency,
    OutputFormat,
    Params,
    Reducers,
    Sql,
    Token,
    Tolerate,
    Url,
    Wait,
    Watch,
    Words,
)


def submit(
    words: Words = None,
    sql: Sql = None,
    param: Params = None,
    source_format: Format = None,
    output_format: Annotated[
        OutputFormat | None, typer.Option(help="How the result is written; by default jsonl.")
    ] = None,
    output_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where to: s3://bucket/prefix/ or a folder below one of the service's output "
            "roots; by default storage that the service owns.",
        ),
    ] = None,
    batch_items: BatchItems = None,
    reducers: Reducers = None,
    tolerate: Tolerate = None,
    skip_bad_items: Annotated[
        bool, typer.Option("--skip-bad-items", help="Set failing items aside, keep their batch.")
    ] = False,
    attempts: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Times that a task is tried; by default 3."),
    ] = None,
    max_concurrency: MaxConcurrency = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Longest that the job may run.")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Told of the end by a signed POST."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Submitting again with it gives the same job."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="A name for people.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; may come again.")
    ] = None,
    watch: Watch = False,
    wait: Wait = False,
    as_json: JsonLines = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> int:
    """Submit a job and print its id, or follow it to its end."""
    import asyncio

    from app.client import requests
    from app.client.address import Address
    from app.client.inputs import failure_policy

    try:
        job = _job(
            words,
            sql=sql,
            param=param,
            source_format=source_format,
            name=name,
            tags=tag or [],
            batch_items=batch_items,
            reducers=reducers,
            output_format=output_format.name if output_format else None,
            output_uri=output_uri,
            max_concurrency=max_concurrency,
            timeout_s=timeout,
            webhook=webhook,
            idempotency_key=idempotency_key,
            failure_policy=failure_policy(
                attempts=attempts, tolerate=tolerate, skips_bad_items=skip_bad_items
            ),
        )
    except ValueError as exc:
        raise typer.TyperException(str(exc)) from exc
    at = Address.parse(url, token)
    submitted = asyncio.run(requests.submit(at, job))
    if not (watch or wait or as_json):
        typer.echo(submitted["id"])
        return 0
    return follow_to_end(at, submitted, as_json=as_json, only_end=wait and not watch)


def plan(
    words: Words = None,
    sql: Sql = None,
    param: Params = None,
    source_format: Format = None,
    batch_items: BatchItems = None,
    reducers: Reducers = None,
    max_concurrency: MaxConcurrency = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JobPlan as JSON.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Check a job and show its steps, without running it."""
    import asyncio

    from app.client import requests
    from app.client.address import Address

    try:
        job = _job(
            words,
            sql=sql,
            param=param,
            source_format=source_format,
            batch_items=batch_items,
            reducers=reducers,
            max_concurrency=max_concurrency,
        )
    except ValueError as exc:
        raise typer.TyperException(str(exc)) from exc
    asyncio.run(requests.print_plan(Address.parse(url, token), job, as_json=as_json))


def _job(
    words: list[str] | None,
    *,
    sql: str | None,
    param: list[str] | None,
    source_format: Format,
    **others: Any,
) -> dict[str, Any]:
    """Return the SubmitJobInput.

    Raises:
        ValueError: The words make none.
    """
    from app.client.inputs import build_input, parse_params, program_and_uris, source_of

    program, uris = program_and_uris(words or [], sql=sql)
    data_format = source_format.name if source_format else None
    return build_input(
        program=program,
        sql=sql,
        source=source_of(uris, data_format=data_format, stdin=sys.stdin),
        params=parse_params(param or []),
        **others,
    )
