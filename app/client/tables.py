"""Rows and jobs as tables, CSV and JSON lines.

What came from data is escaped where a terminal would obey it, and never read as markup.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from app.client.amounts import age_text, printable
from app.client.cells import cell_text, is_number, json_line
from app.client.states import state_style, state_text, title_of

_BAR_WIDTH: Final = 40
_PREVIEW_LENGTH: Final = 80
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_SHORTEST_NAME: Final = 8
_ID_LENGTH: Final = 28
_WIDE: Final = 72
_SHORT: Final = {"PARTIALLY_SUCCEEDED": "partial"}


def csv_lines(columns: Sequence[str], rows: Iterable[Any], *, header: bool) -> str:
    """Return rows as CSV (RFC 4180, lines ending in a line feed).

    Null is an empty field; arrays and objects are JSON.

    Args:
        columns: Which fields, in which order.
        rows: Objects.
        header: Whether the names come first.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows([_csv_field(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def rows_table(columns: Sequence[str], rows: Iterable[Any]) -> Table:
    """Return rows as a table; numbers stand to the right."""
    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        is_numeric = all(is_number(row.get(column)) for row in rows)
        table.add_column(
            Text(printable(column)), justify="right" if is_numeric else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell_text(row.get(column))) for column in columns))
    return table


def jobs_table(jobs: Iterable[dict[str, Any]], *, now: datetime, width: int) -> Table:
    """Return jobs as a table, in their order.

    Args:
        jobs: As the service lists them.
        now: What ages are counted to.
        width: Of the terminal; a narrow one gets fewer columns, for an id must be whole.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("id", no_wrap=True, min_width=_ID_LENGTH)
    # Only this one gives way; something of it is left on 80 columns.
    table.add_column("job", min_width=_SHORTEST_NAME)
    table.add_column("state", no_wrap=True)
    if width >= _WIDE:
        for name in ("done", "rows", "age"):
            table.add_column(name, justify="right", no_wrap=True)
    for job in jobs:
        table.add_row(*_job_cells(job, now)[: len(table.columns)])
    return table


def failures_table(failures: Iterable[dict[str, Any]]) -> Table:
    """Return failed items as a table, in their order; long previews are cut."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("location", "error", "preview"):
        table.add_column(name, overflow="fold")
    for failure in failures:
        error = failure["error"]
        preview = printable(failure["preview"])
        table.add_row(
            Text(printable(failure["location"])),
            Text(printable(f"{error['code']}: {error['message']}")),
            Text(preview if len(preview) <= _PREVIEW_LENGTH else f"{preview[:_PREVIEW_LENGTH]}…"),
        )
    return table


def ranking_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return words with their counts, and bars relative to the largest count."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", justify="right", style="dim")
    table.add_column("word", style="bold")
    table.add_column("count", justify="right")
    table.add_column("")
    most = max((row["value"] for row in rows), default=1)
    for rank, row in enumerate(rows, 1):
        bar = Text(bar_text(row["value"] / most), style="cyan")
        table.add_row(str(rank), Text(printable(row["key"])), f"{row['value']:,}", bar)
    return table


def bar_text(share: float, *, width: int = _BAR_WIDTH) -> str:
    """Return a bar for a share of 0 to 1, exact to an eighth of a character."""
    whole, eighths = divmod(round(share * width * 8), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")


def _job_cells(job: dict[str, Any], now: datetime) -> list[Text]:
    status = job["status"]
    state: str = status["state"]
    rows = status["resultRows"]
    share = status["ratio"]
    age_s = (now - datetime.fromisoformat(job["createdAt"])).total_seconds()
    return [
        Text(job["id"]),
        Text(title_of(job), no_wrap=True, overflow="ellipsis"),
        Text(_SHORT.get(state, state_text(state)), style=state_style(state)),
        Text("" if share is None else f"{share:.0%}"),
        Text("" if rows is None else f"{rows:,.0f}"),
        Text(age_text(age_s)),
    ]


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_line(value)
