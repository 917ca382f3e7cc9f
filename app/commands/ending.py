"""How a command ends: its exit status, and what is told on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import typer

WRONGLY_CONFIGURED: Final = 2
FAULT: Final = 70
INTERRUPTED: Final = 130
TERMINATED: Final = 143


def tell(lines: Iterable[str]) -> None:
    """Write to standard error, each line with our name in front."""
    from app.client.amounts import printable

    for line in lines:
        typer.echo(f"fanfold: {printable(line)}", err=True)
