"""The answer so far, small enough to be drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from app.client.amounts import counted
from app.client.cells import cell_text, is_number

MOST_ROWS: Final = 10
MOST_COLUMNS: Final = 8
_SHORTEST_TEXT: Final = 8
_GAP: Final = 2
_LINES_AROUND: Final = 10
"""Of a terminal's height: what stands above and below, and a prompt."""


def so_far_head(status: dict[str, Any]) -> str:
    """Return how much there is, such as ``so far 12 rows, from 43% of the input``."""
    rows = counted(len(status["partial"]), "row")
    share = status["coverage"]
    return f"so far {rows}" if share is None else f"so far {rows}, from {share:.0%} of the input"


def so_far_table(rows: Sequence[Any], *, width: int, height: int) -> Table:
    """Return the first rows as a table whose cells are one line each.

    Text may be cut. Figures never are: a column that has no room is left out, with all after it.

    Args:
        rows: Objects.
        width: Most that it may take.
        height: Lines of the terminal.
    """
    shown = rows[: max(min(MOST_ROWS, height - _LINES_AROUND), 1)]
    columns = list(dict.fromkeys(name for row in shown for name in row))[:MOST_COLUMNS]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    drawn: list[str] = []
    for column in columns:
        is_numeric = all(is_number(row.get(column)) for row in shown)
        texts = (column, *(row.get(column) for row in shown))
        longest = max(cell_len(cell_text(text)) for text in texts)
        least = longest if is_numeric else min(longest, _SHORTEST_TEXT)
        width -= least + _GAP
        if drawn and width < 0:
            break
        drawn.append(column)
        table.add_column(
            _cell(cell_text(column)),
            justify="right" if is_numeric else "left",
            no_wrap=is_numeric,  # only others give way
            min_width=least,
        )
    for row in shown:
        table.add_row(*(_cell(cell_text(row.get(column))) for column in drawn))
    return table


def _cell(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
