"""Where a job's input is and how it is laid out, as options of the commands that take a job."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from app.commands.completion import complete_job, complete_words

SOURCE: Final = "Input"


class SourceFormat(StrEnum):
    """How files are cut into records."""

    AUTO = "auto"
    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Mode(StrEnum):
    """What is mapped."""

    RECORDS = "records"
    OBJECTS = "objects"
    MANIFEST = "manifest"


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PROGRAM] URI...",
        help="A registered program, such as wordcount, unless there is --sql. Then files below "
        "the service's source roots, s3://bucket/key or https://host/file; * and ** are wildcards. "
        "'-' sends the lines of standard input.",
        show_default=False,
        autocompletion=complete_words,
    ),
]
Sql = Annotated[
    str | None,
    typer.Option(metavar="QUERY", help="A SELECT over the table 'input', without a program."),
]
Upload = Annotated[
    bool,
    typer.Option(
        "--upload",
        help="Send the one file that is named, from this machine. Done without being asked when "
        "the service is on another machine and does not have the file.",
        rich_help_panel=SOURCE,
    ),
]
FromJob = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="The result of another job, instead of URIs.",
        autocompletion=complete_job,
        rich_help_panel=SOURCE,
    ),
]
Format = Annotated[
    SourceFormat | None,
    typer.Option(
        "--format",
        help="How files are cut into records; by default told by their names and first bytes.",
        rich_help_panel=SOURCE,
    ),
]
CsvDelimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="Between the fields of CSV; by default a comma. '\\t' is a tab.",
        rich_help_panel=SOURCE,
    ),
]
CsvNoHeader = Annotated[
    bool,
    typer.Option(
        "--csv-no-header",
        help="The first row of CSV has values, not names.",
        rich_help_panel=SOURCE,
    ),
]
CsvColumns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,…",
        help="Names of the columns of CSV without a header.",
        rich_help_panel=SOURCE,
    ),
]
ItemsPointer = Annotated[
    str | None,
    typer.Option(
        metavar="POINTER",
        help="JSON Pointer to the array of items in JSON files, such as /data/items.",
        rich_help_panel=SOURCE,
    ),
]
FilesMode = Annotated[
    Mode | None,
    typer.Option(
        "--mode",
        help="Map what is in the files, the listing of them, or the files that manifests list; by "
        "default records.",
        rich_help_panel=SOURCE,
    ),
]
