"""Figures as lines of text: medians with their range, and ratios."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

console = Console(width=120)


def machine() -> str:
    """Describe where the figures come from."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def spread(values: Sequence[float], *, unit: str = "", digits: int = 2) -> str:
    """Return the median and the range of *values*."""
    middle = statistics.median(values)
    low, high = min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f}){unit}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table under a title."""
    console.print(f"\n{title} ({machine()})", highlight=False)
    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
