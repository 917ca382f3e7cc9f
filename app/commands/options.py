"""Options and arguments that several commands have, and the words that they may be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from app.commands.completion import complete_job
from app.commands.durations import duration_s

TABLE_ROWS: Final = 100

RUN: Final = "How it runs"
FAILURES: Final = "What may fail"
RESULT: Final = "Result"
NAMES: Final = "Names"
AFTERWARDS: Final = "Afterwards"
SERVICE: Final = "Service"


class OutputFormat(StrEnum):
    """How a result is written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class RowFormat(StrEnum):
    """How rows are printed or saved."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    TABLE = "table"


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="FANFOLD_URL",
        help="Address of the service.",
        metavar="URL",
        rich_help_panel=SERVICE,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="FANFOLD_TOKEN",
        help="API key or other token; better given in FANFOLD_TOKEN, which other users cannot see.",
        metavar="TOKEN",
        show_default=False,
        rich_help_panel=SERVICE,
    ),
]
JobIdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The job.", autocompletion=complete_job)
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="KEY=VALUE",
        help="A parameter of the program, or $KEY of the query; the value is JSON, else text. "
        "May come again.",
    ),
]
BatchItems = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Items of a map task at most; by default large batches.",
        rich_help_panel=RUN,
    ),
]
BatchBytes = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Bytes of a map task at most.", rich_help_panel=RUN),
]
Reducers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Reduce tasks; by default as the service chooses.",
        rich_help_panel=RUN,
    ),
]
MaxConcurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Map tasks at once; by default as there are workers.",
        rich_help_panel=RUN,
    ),
]
NewMaxConcurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Map tasks at once, from now on.",
        rich_help_panel=RUN,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        parser=duration_s,
        metavar="DURATION",
        help="Longest that the job may run, such as 90, 10m or 2h.",
        rich_help_panel=RUN,
    ),
]
Tolerate = Annotated[
    str | None,
    typer.Option(
        metavar="N|N%",
        help="Items, or a share of them, that may fail; by default none.",
        rich_help_panel=FAILURES,
    ),
]
NewTolerate = Annotated[
    str | None,
    typer.Option(
        metavar="N|N%",
        help="Items, or a share of them, that may fail, from now on.",
        rich_help_panel=FAILURES,
    ),
]
SkipBadItems = Annotated[
    bool,
    typer.Option(
        "--skip-bad-items",
        help="Set failing items aside, keep the rest of their batch.",
        rich_help_panel=FAILURES,
    ),
]
Attempts = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Times that a task is tried; by default 3.",
        rich_help_panel=FAILURES,
    ),
]
TaskTimeout = Annotated[
    float | None,
    typer.Option(
        parser=duration_s,
        metavar="DURATION",
        help="Longest that one try of a task may take.",
        rich_help_panel=FAILURES,
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Draw progress until the end.", rich_help_panel=AFTERWARDS),
]
Wait = Annotated[
    bool,
    typer.Option("--wait", help="Wait for the end, print it alone.", rich_help_panel=AFTERWARDS),
]
JsonLines = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print every JobStatus as a line of JSON, until the end; with --wait the last alone.",
        rich_help_panel=AFTERWARDS,
    ),
]
StatusLines = Annotated[
    bool,
    typer.Option("--json", help="Print every JobStatus as a line of JSON, until the end."),
]
JobJson = Annotated[bool, typer.Option("--json", help="Print the job as a line of JSON.")]
Host = Annotated[
    str | None, typer.Option(metavar="HOST", help="Address to listen on.  [FANFOLD_HOST]")
]
Port = Annotated[
    str | None, typer.Option(metavar="PORT", help="Port to listen on.  [FANFOLD_PORT]")
]
