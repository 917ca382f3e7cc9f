"""Options and arguments that several commands have, and the words that they may be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


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


Url = Annotated[
    str, typer.Option("--url", envvar="FANFOLD_URL", help="Address of the service.", metavar="URL")
]
JobIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job.")]
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
