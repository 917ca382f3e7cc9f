"""Options and arguments that several commands have, and the words that they may be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from app.commands.completion import complete_job, complete_words

DEFAULT_URL: Final = "http://127.0.0.1:8000"
TABLE_ROWS: Final = 100


class SourceFormat(StrEnum):
    """How files are cut into records."""

    AUTO = "auto"
    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"


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
    str, typer.Option("--url", envvar="FANFOLD_URL", help="Address of the service.", metavar="URL")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="FANFOLD_TOKEN",
        help="API key or other token; better given in FANFOLD_TOKEN, which other users cannot see.",
        metavar="TOKEN",
        show_default=False,
    ),
]
JobIdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The job.", autocompletion=complete_job)
]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PROGRAM] URI...",
        help="A registered program, such as wordcount, unless there is --sql. Then files below "
        "the service's source roots, or s3://bucket/key; * and ** are wildcards. "
        "'-' sends the lines of standard input.",
        show_default=False,
        autocompletion=complete_words,
    ),
]
Sql = Annotated[
    str | None,
    typer.Option(metavar="QUERY", help="A SELECT over the table 'input', without a program."),
]
Format = Annotated[
    SourceFormat | None, typer.Option("--format", help="How files are cut into records.")
]
Reducers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Reduce tasks; by default as the service chooses."),
]
Tolerate = Annotated[
    str | None, typer.Option(metavar="N|N%", help="Items, or a share of them, that may fail.")
]
BatchItems = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Items of a map task at most; by default large batches."),
]
MaxConcurrency = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Map tasks at once; by default as there are workers."),
]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print every JobStatus as a line of JSON, until the end.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Draw progress until the end.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end, print it alone.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="A parameter; the value is JSON."),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.  [FANFOLD_HOST]")]
Port = Annotated[str | None, typer.Option(help="Port to listen on.  [FANFOLD_PORT]")]
