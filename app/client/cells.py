"""Values of rows as the text of a table's cells, and as JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from app.client.amounts import printable


def json_line(value: Any) -> str:
    """Return a value as JSON in one line, without its end; a Decimal is a number."""
    try:
        return _plain(value)
    except TypeError:  # of a Decimal somewhere in it
        pass
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        fields = (f"{_plain(key)}:{json_line(part)}" for key, part in value.items())
        return f"{{{','.join(fields)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(json_line, value))}]"
    return _plain(value)


def cell_text(value: Any) -> str:
    """Return a value for people; null is empty, and nothing in it steers a terminal."""
    if value is None:
        return ""
    return printable(value if isinstance(value, str) else json_line(value))


def is_number(value: Any) -> bool:
    """Tell whether a value stands to the right; null may."""
    return value is None or (
        isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    )


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
