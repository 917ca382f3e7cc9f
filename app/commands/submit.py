"""New jobs: submitted, or only planned."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.defaults import DEFAULT_URL
from app.commands.durations import duration_s
from app.commands.following import follow_to_end
from app.commands.options import (
    NAMES,
    RESULT,
    Attempts,
    BatchBytes,
    BatchItems,
    JsonLines,
    MaxConcurrency,
    OutputFormat,
    Params,
    Reducers,
    SkipBadItems,
    TaskTimeout,
    Timeout,
    Token,
    Tolerate,
    Url,
    Wait,
    Watch,
)
from app.commands.source_options import (
    CsvColumns,
    CsvDelimiter,
    CsvNoHeader,
    FilesMode,
    Format,
    FromJob,
    ItemsPointer,
    Sql,
    Upload,
    Words,
)

if TYPE_CHECKING:
    from app.client.sources import Layout


def submit(
    words: Words = None,
    sql: Sql = None,
    param: Params = None,
    upload: Upload = False,
    from_job: FromJob = None,
    source_format: Format = None,
    csv_delimiter: CsvDelimiter = None,
    csv_no_header: CsvNoHeader = False,
    csv_columns: CsvColumns = None,
    items_pointer: ItemsPointer = None,
    mode: FilesMode = None,
    batch_items: BatchItems = None,
    batch_bytes: BatchBytes = None,
    reducers: Reducers = None,
    max_concurrency: MaxConcurrency = None,
    timeout: Timeout = None,
    tolerate: Tolerate = None,
    skip_bad_items: SkipBadItems = False,
    attempts: Attempts = None,
    task_timeout: TaskTimeout = None,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(help="How the result is written; by default jsonl.", rich_help_panel=RESULT),
    ] = None,
    output_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where to: s3://bucket/prefix/ or a folder below one of the service's output "
            "roots; by default storage that the service owns.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    partial_every: Annotated[
        float | None,
        typer.Option(
            parser=duration_s,
            metavar="DURATION",
            help="Show the answer so far this often, such as 500ms; --watch draws it.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    retention: Annotated[
        float | None,
        typer.Option(
            parser=duration_s,
            metavar="DURATION",
            help="How long the job and its result are kept, such as 30d; by default as the service "
            "is set up.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Told of the end by a signed POST.", rich_help_panel=RESULT
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="A name for people.", rich_help_panel=NAMES)
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="TAG",
            help="A tag to find it by; may come again.",
            rich_help_panel=NAMES,
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Submitting the same again with it gives the same job.",
            rich_help_panel=NAMES,
        ),
    ] = None,
    watch: Watch = False,
    wait: Wait = False,
    as_json: JsonLines = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> int:
    """Submit a job and print its id, or follow it to its end."""
    import asyncio

    from app.client import sending
    from app.client.address import Address
    from app.client.inputs import failure_policy
    from app.client.sources import Layout, file_to_send

    try:
        job = _job(
            words,
            sql=sql,
            param=param,
            from_job=from_job,
            layout=Layout(
                data_format=source_format.name if source_format else None,
                delimiter=csv_delimiter,
                has_header=not csv_no_header,
                columns=csv_columns,
                items_pointer=items_pointer,
                mode=mode.name if mode else None,
            ),
            name=name,
            tags=tag or [],
            batch_items=batch_items,
            batch_bytes=batch_bytes,
            reducers=reducers,
            output_format=output_format.name if output_format else None,
            output_uri=output_uri,
            partial_every_s=partial_every,
            max_concurrency=max_concurrency,
            timeout_s=timeout,
            retention_s=retention,
            webhook=webhook,
            idempotency_key=idempotency_key,
            failure_policy=failure_policy(
                attempts=attempts,
                tolerate=tolerate,
                skips_bad_items=skip_bad_items,
                task_timeout_s=task_timeout,
            ),
        )
        file = file_to_send(job["source"]) if upload else None
    except ValueError as exc:
        raise typer.TyperException(str(exc)) from exc
    at = Address.parse(url, token)
    submitted = asyncio.run(sending.submit(at, job, file=file))
    if not (watch or wait or as_json):
        typer.echo(submitted["id"])
        return 0
    return follow_to_end(
        at, submitted, as_json=as_json, only_end=wait and not watch, done="submitted"
    )


def plan(
    words: Words = None,
    sql: Sql = None,
    param: Params = None,
    from_job: FromJob = None,
    source_format: Format = None,
    csv_delimiter: CsvDelimiter = None,
    csv_no_header: CsvNoHeader = False,
    csv_columns: CsvColumns = None,
    items_pointer: ItemsPointer = None,
    mode: FilesMode = None,
    batch_items: BatchItems = None,
    batch_bytes: BatchBytes = None,
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
    from app.client.sources import Layout

    try:
        job = _job(
            words,
            sql=sql,
            param=param,
            from_job=from_job,
            layout=Layout(
                data_format=source_format.name if source_format else None,
                delimiter=csv_delimiter,
                has_header=not csv_no_header,
                columns=csv_columns,
                items_pointer=items_pointer,
                mode=mode.name if mode else None,
            ),
            batch_items=batch_items,
            batch_bytes=batch_bytes,
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
    from_job: str | None,
    layout: Layout,
    **others: Any,
) -> dict[str, Any]:
    """Return the SubmitJobInput.

    Raises:
        ValueError: The words make none.
    """
    from app.client.inputs import build_input, parse_params, program_and_uris
    from app.client.sources import source_of

    program, uris = program_and_uris(words or [], sql=sql, has_source=from_job is not None)
    return build_input(
        program=program,
        sql=sql,
        source=source_of(uris, layout=layout, from_job=from_job, stdin=sys.stdin),
        params=parse_params(param or []),
        **others,
    )
