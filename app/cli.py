"""The command ``fanfold``: reads words, calls what does the work, returns an exit status.

Exit status: 0 succeeded, 1 failed, cancelled or timed out, 2 partly succeeded (or, for the roles
of a service, wrongly configured), 3 wrong words or a refused input, 4 no service, 130 Ctrl-C.

What does the work is imported when its command runs, so that help appears at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from app.client.errors import REFUSED, ServiceError
from app.options import (
    Host,
    JobIdArgument,
    JsonLines,
    OutputFormat,
    Params,
    Port,
    RowFormat,
    SourceFormat,
    Url,
    Wait,
    Watch,
)

if TYPE_CHECKING:
    from app.settings import Settings

T = TypeVar("T")

WRONGLY_CONFIGURED: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143
_DEFAULT_URL: Final = "http://127.0.0.1:8000"
_TABLE_ROWS: Final = 100

app = typer.Typer(
    name="fanfold",
    help="Map-reduce jobs over GraphQL, followed live.",
    epilog="Start with 'fanfold demo'.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)


def main() -> None:
    """Run the command of this process."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one command and return its exit status; what is wrong is told on standard error."""
    try:
        status: int | None = app(args, prog_name="fanfold", standalone_mode=False)
    except typer.TyperException as exc:
        return _refuse_words(exc)
    except typer.Abort:
        return INTERRUPTED
    except asyncio.CancelledError:
        return TERMINATED
    except ServiceError as exc:
        _tell(exc.lines)
        return exc.exit_status
    return status or 0


# ------------------------------------------------------------------ the service


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service running.")] = False,
) -> int:
    """See it work: count the words of Python's own library."""
    from app.demo import run_demo

    return _configured(lambda: _in_uvloop(run_demo(keep=keep)))


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        str | None, typer.Option(help="Worker processes.  [FANFOLD_WORKERS]")
    ] = None,
) -> int:
    """Run the whole service on this machine.

    That is the API, workers and, unless FANFOLD_REDIS_URL is set, a private Redis.
    """
    from app.up import up as serve

    return _serve(serve, host=host, port=port, workers=workers)


@app.command()
def api(host: Host = None, port: Port = None) -> int:
    """Run the API alone, for a cluster."""
    from app.api import serve_api

    return _serve(serve_api, host=host, port=port)


@app.command()
def worker() -> int:
    """Run one worker, for a cluster."""
    from app.settings import load_settings
    from app.worker import run_worker

    return _configured(lambda: run_worker(load_settings(os.environ)))


@app.command()
def schema(
    appsync: Annotated[
        bool, typer.Option("--appsync", help="The variant for AWS AppSync.")
    ] = False,
) -> None:
    """Print the schema that is served."""
    from schema.appsync import appsync_sdl
    from schema.sdl import served_sdl

    sdl = served_sdl()
    typer.echo((appsync_sdl(sdl) if appsync else sdl).rstrip("\n"))


# ------------------------------------------------------------------ its clients


@app.command()
def submit(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROGRAM] URI...",
            help="A registered program, such as wordcount, unless there is --sql. Then files below "
            "the service's source roots, or s3://bucket/key; * and ** are wildcards. "
            "'-' sends the lines of standard input.",
            show_default=False,
        ),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(metavar="QUERY", help="A SELECT over the table 'input', without a program."),
    ] = None,
    param: Params = None,
    source_format: Annotated[
        SourceFormat | None, typer.Option("--format", help="How files are cut into records.")
    ] = None,
    output_format: Annotated[
        OutputFormat | None, typer.Option(help="How the result is written; by default jsonl.")
    ] = None,
    reducers: Annotated[
        int | None, typer.Option(min=1, help="Reduce tasks; by default as the service chooses.")
    ] = None,
    tolerate: Annotated[
        str | None,
        typer.Option(metavar="N|N%", help="Items, or a share of them, that may fail."),
    ] = None,
    skip_bad_items: Annotated[
        bool, typer.Option("--skip-bad-items", help="Set failing items aside, keep their batch.")
    ] = False,
    attempts: Annotated[
        int | None, typer.Option(min=1, help="Times that a task is tried; by default 3.")
    ] = None,
    max_concurrency: Annotated[
        int | None, typer.Option(min=1, help="Map tasks at once; by default as there are workers.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag; may come again.")] = None,
    watch: Watch = False,
    wait: Wait = False,
    as_json: JsonLines = False,
    url: Url = _DEFAULT_URL,
) -> int:
    """Submit a job and print its id, or follow it to its end."""
    from app.client import requests
    from app.client.inputs import (
        build_input,
        failure_policy,
        parse_params,
        program_and_uris,
        source_of,
    )

    try:
        program, uris = program_and_uris(words or [], sql=sql)
        job = build_input(
            program=program,
            sql=sql,
            source=source_of(
                uris,
                data_format=source_format.name if source_format else None,
                stdin=sys.stdin,
            ),
            params=parse_params(param or []),
            name=name,
            tags=tag or [],
            reducers=reducers,
            output_format=output_format.name if output_format else None,
            max_concurrency=max_concurrency,
            failure_policy=failure_policy(
                attempts=attempts, tolerate=tolerate, skips_bad_items=skip_bad_items
            ),
        )
    except ValueError as exc:
        raise typer.TyperException(str(exc)) from exc
    submitted = asyncio.run(requests.submit(url, job))
    if not (watch or wait or as_json):
        typer.echo(submitted["id"])
        return 0
    return _follow(url, submitted, as_json=as_json, only_end=wait and not watch)


@app.command()
def watch(job_id: JobIdArgument, as_json: JsonLines = False, url: Url = _DEFAULT_URL) -> int:
    """Draw progress until the end; Ctrl-C leaves the job running."""
    from app.client import requests
    from app.client.bars import begun_at

    job = asyncio.run(requests.job(url, job_id))
    return _follow(url, job | {"createdAt": begun_at(job)}, as_json=as_json, only_end=False)


@app.command()
def result(
    job_id: JobIdArgument,
    row_format: Annotated[
        RowFormat | None,
        typer.Option("--format", help="By default a table on a terminal, else jsonl."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"Rows at most; {_TABLE_ROWS} for a table, else all."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Save to a file, whole or not at all."),
    ] = None,
    url: Url = _DEFAULT_URL,
) -> None:
    """Print or save the rows of a job's result."""
    from app.client import requests
    from app.client.save import replaced, save_rows

    is_shown = output is None and sys.stdout.isatty()
    chosen = row_format or (RowFormat.TABLE if is_shown else RowFormat.JSONL)
    if chosen is RowFormat.TABLE:
        if output is not None:
            raise typer.TyperException("a table is for looking at: save jsonl, csv or parquet")
        rows = _TABLE_ROWS if limit is None else limit
        asyncio.run(requests.print_table(url, job_id, limit=rows))
        return
    if chosen is RowFormat.PARQUET and is_shown:
        raise typer.TyperException("parquet is not for a terminal: give -o FILE")
    with _told_if_unwritable(output), replaced(output) if output else nullcontext() as file:
        out = file or sys.stdout.buffer
        asyncio.run(save_rows(url, job_id, row_format=chosen.value, limit=limit, out=out))


@app.command()
def jobs(
    limit: Annotated[int, typer.Option(min=1, help="Jobs at most.")] = 25,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each job.")] = False,
    url: Url = _DEFAULT_URL,
) -> None:
    """List jobs, newest first."""
    from app.client import requests

    asyncio.run(requests.print_jobs(url, limit=limit, as_json=as_json))


@app.command()
def cancel(
    job_id: JobIdArgument,
    reason: Annotated[str | None, typer.Option(help="Kept with the job.")] = None,
    url: Url = _DEFAULT_URL,
) -> None:
    """Stop a job; one that has ended stays as it is."""
    from app.client import requests

    job = asyncio.run(requests.cancel(url, job_id, reason=reason))
    typer.echo(f"{job['id']} {job['status']['state']}")


@app.command()
def redrive(
    job_id: JobIdArgument,
    param: Params = None,
    watch: Watch = False,
    wait: Wait = False,
    as_json: JsonLines = False,
    url: Url = _DEFAULT_URL,
) -> int:
    """Run again what did not succeed.

    Params that are given take the place of all that the job had.
    """
    from app.client import requests
    from app.client.inputs import parse_params

    try:
        params = parse_params(param) if param else None
    except ValueError as exc:
        raise typer.TyperException(str(exc)) from exc
    job = asyncio.run(requests.redrive(url, job_id, params=params))
    if not (watch or wait or as_json):
        typer.echo(f"{job['id']} {job['status']['state']}, run {job['status']['run']}")
        return 0
    # The summary tells how long this run took.
    this_run = job | {"createdAt": job["status"]["updatedAt"]}
    return _follow(url, this_run, as_json=as_json, only_end=wait and not watch)


@app.command()
def failures(
    job_id: JobIdArgument,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Items at most; {_TABLE_ROWS} for a table, else all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each item.")] = False,
    url: Url = _DEFAULT_URL,
) -> None:
    """List the items that failed for good, and why."""
    from app.client import requests

    most = _TABLE_ROWS if limit is None and not as_json else limit
    asyncio.run(requests.print_failures(url, job_id, limit=most, as_json=as_json))


# ------------------------------------------------------------------ shared steps


def _serve(serve: Callable[[Settings], Coroutine[Any, Any, None]], **overrides: str | None) -> int:
    from app.runtime import log_to_stderr
    from app.settings import load_settings

    def start() -> None:
        settings = load_settings(os.environ, **overrides)
        log_to_stderr()
        _in_uvloop(serve(settings))

    return _configured(start)


def _configured(start: Callable[[], int | None]) -> int:
    """Run what depends on this deployment's set-up; tell what is wrong with it."""
    from engine.errors import ConfigError

    try:
        return start() or 0
    except ConfigError as exc:
        _tell(exc.message.splitlines())
        return WRONGLY_CONFIGURED


@contextmanager
def _told_if_unwritable(output: Path | None) -> Iterator[None]:
    """Tell in one line what is wrong with the file that a result is to be saved to."""
    try:
        yield
    except OSError as exc:
        if output is None:
            raise
        raise typer.TyperException(f"{output} cannot be written: {exc.strerror}") from exc


def _in_uvloop(work: Coroutine[Any, Any, T]) -> T:
    import uvloop

    return uvloop.run(work)


def _follow(url: str, job: dict[str, Any], *, as_json: bool, only_end: bool) -> int:
    """Show a job until it ends; Ctrl-C leaves it running."""
    from app.client.bars import failed_text
    from app.client.errors import exit_status_of
    from app.client.show import drawing_of, show_until_end

    drawing = drawing_of(job, as_json=as_json, only_end=only_end)
    at = "" if url == os.environ.get("FANFOLD_URL", _DEFAULT_URL) else f" --url {url}"
    try:
        end = asyncio.run(show_until_end(url, job["id"], drawing))
    except KeyboardInterrupt:
        _tell([f"job {job['id']} goes on; 'fanfold watch {job['id']}{at}' follows it again"])
        return INTERRUPTED
    if (failed := failed_text(end)) and not as_json:
        _tell([f"{failed}: 'fanfold failures {job['id']}{at}' lists them"])
    if end["resultRows"] and not as_json:
        _tell([f"'fanfold result {job['id']}{at}' prints the rows"])
    return exit_status_of(end["state"])


def _refuse_words(exc: typer.TyperException) -> int:
    """Tell what is wrong with the words, and where to read what would be right."""
    context: typer.Context | None = getattr(exc, "ctx", None)
    lines = exc.format_message().splitlines()
    if context is None or len(lines) != 1:
        # Several lines are the help itself, which comes when there are no words at all.
        typer.echo("\n".join(lines) if len(lines) > 1 else f"fanfold: {lines[0]}", err=True)
        return REFUSED
    message = lines[0].replace("Value error, ", "").rstrip(".")
    _tell([f"{message}; '{context.command_path} --help' tells more"])
    return REFUSED


def _tell(lines: Iterable[str]) -> None:
    """Write to standard error, each line with our name in front."""
    from app.client.amounts import printable

    for line in lines:
        typer.echo(f"fanfold: {printable(line)}", err=True)


if __name__ == "__main__":
    main()
