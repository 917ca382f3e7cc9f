"""API keys as printed: all but their secrets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.client.cells import json_line
from engine.api_keys import ApiKey


def print_keys(keys: Sequence[ApiKey], *, as_json: bool) -> None:
    """Print keys as a table, or a line of JSON for each."""
    if as_json:
        sys.stdout.writelines(f"{json_line(_shown(key))}\n" for key in keys)
    elif keys:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=100_000)
        console.print(_table(keys))
    else:
        sys.stderr.write("no keys: 'fanfold key create' makes one\n")


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": list(key.scopes),
        "createdAt": key.created_at.isoformat(timespec="seconds"),
        "expiresAt": key.expires_at and key.expires_at.isoformat(timespec="seconds"),
    }


def _table(keys: Sequence[ApiKey]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("id", "tenant", "name", "scopes", "created", "expires"):
        table.add_column(name, overflow="fold")
    for key in keys:
        shown = _shown(key)
        cells = (
            key.id,
            key.tenant,
            key.name,
            ",".join(key.scopes),
            str(shown["createdAt"]),
            str(shown["expiresAt"] or "never"),
        )
        table.add_row(*map(Text, cells))
    return table
