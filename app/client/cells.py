"""Values of rows as the text of a table's cells."""

from __future__ import annotations

import json
from typing import Any

from app.client.amounts import printable


def json_line(value: Any) -> str:
    """Return a value as JSON in one line, without its end."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cell_text(value: Any) -> str:
    """Return a value for people; null is empty, and nothing in it steers a terminal."""
    if value is None:
        return ""
    return printable(value if isinstance(value, str) else json_line(value))


def is_number(value: Any) -> bool:
    """Tell whether a value stands to the right; null may."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
