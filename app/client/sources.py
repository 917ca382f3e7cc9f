"""Where a job's input is: from words of the command line to a SourceInput.

Refuses with ValueError, naming the option or word that is at fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.client.json_reading import read_given

STDIN: Final = "-"
_NO_LINES: Final = ("CSV", "JSON", "PARQUET")


@dataclass(frozen=True, slots=True)
class Layout:
    """How the records of files are laid out; None leaves it to the service.

    Attributes:
        data_format: AUTO, TEXT, CSV, JSON, JSONL or PARQUET.
        delimiter: Between the fields of CSV.
        has_header: Whether CSV begins with names.
        columns: Names of the columns of CSV, with commas in between.
        items_pointer: Where the items are in JSON.
        mode: RECORDS, OBJECTS or MANIFEST.
    """

    data_format: str | None = None
    delimiter: str | None = None
    has_header: bool = True
    columns: str | None = None
    items_pointer: str | None = None
    mode: str | None = None

    def as_input(self) -> dict[str, Any]:
        """Return the fields of FilesInput, without what was left out."""
        columns = (
            None if self.columns is None else [part.strip() for part in self.columns.split(",")]
        )
        delimiter = "\t" if self.delimiter == "\\t" else self.delimiter
        header = None if self.has_header else False
        csv = {"delimiter": delimiter, "columns": columns, "header": header}
        fields = {
            "format": self.data_format,
            "csv": {key: value for key, value in csv.items() if value is not None} or None,
            "itemsPointer": self.items_pointer,
            "mode": self.mode,
        }
        return {key: value for key, value in fields.items() if value is not None}


def source_of(
    uris: Sequence[str], *, layout: Layout, from_job: str | None = None, stdin: Iterable[str]
) -> dict[str, Any]:
    """Return the SourceInput: files, another job, or *stdin*'s lines when the only URI is ``-``.

    Args:
        uris: As given; none with *from_job*, else at least one.
        layout: Of files.
        from_job: Whose result is the input.
        stdin: Lines with their ends, read only if asked for.

    Raises:
        ValueError: ``-`` stands beside other URIs or with a layout that has no lines; a line is
            no text, not JSON, or has a number that is too large; or *from_job* stands beside URIs
            or a layout.
    """
    fields = layout.as_input()
    if from_job is not None:
        if uris or fields:
            raise ValueError("--from-job is the whole input: leave out URIs and their layout")
        return {"job": from_job}
    if STDIN not in uris:
        return {"files": {"uris": list(uris)} | fields}
    if len(uris) > 1:
        raise ValueError(f"{STDIN!r} reads standard input and must be the only source")
    if fields.keys() - {"format"} or layout.data_format in _NO_LINES:
        raise ValueError("standard input is read as lines, or with --format jsonl as JSON values")
    try:
        lines = [line.removesuffix("\n").removesuffix("\r") for line in stdin]
        "".join(lines).encode()  # bytes that are no text may come as lone surrogates
    except UnicodeError as exc:
        raise ValueError("standard input is not UTF-8") from exc
    if layout.data_format != "JSONL":
        return {"inline": lines}
    return {"inline": [_json(line, number) for number, line in enumerate(lines, 1) if line.strip()]}


def local_file(source: dict[str, Any]) -> Path | None:
    """Return the file of this machine that a SourceInput might mean; None if there is none."""
    uris = source.get("files", {}).get("uris", [])
    if len(uris) != 1 or "://" in uris[0] or "mode" in source["files"]:
        return None
    path = Path(uris[0])
    try:
        return path if path.is_file() else None
    except OSError:  # such as a name that is too long
        return None


def file_to_send(source: dict[str, Any]) -> Path:
    """Return the file of this machine that is to be sent.

    Raises:
        ValueError: The source is not one file that is there.
    """
    path = local_file(source)
    if path is not None:
        return path
    if "mode" in source.get("files", {}):
        raise ValueError("--mode is for files of the service: not with --upload")
    uris = source.get("files", {}).get("uris", [])
    what = f"{uris[0]} is none" if len(uris) == 1 else f"{len(uris)} are given"
    raise ValueError(f"--upload sends one file of this machine: {what}")


def sent_source(source: dict[str, Any], upload_id: str) -> dict[str, Any]:
    """Return *source* with its file in the place where it was sent to."""
    layout = {key: value for key, value in source["files"].items() if key != "uris"}
    return {"upload": {"id": upload_id} | layout}


def _json(line: str, number: int) -> Any:
    try:
        return read_given(line)
    except OverflowError as exc:
        raise ValueError(f"line {number} of standard input: {exc}") from exc
    except ValueError as exc:
        raise ValueError(f"line {number} of standard input is not JSON: {exc}") from exc
