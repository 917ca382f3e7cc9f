"""Why and where a query is refused, in words that both of its readers use."""

from __future__ import annotations

from typing import Final

MAX_TEXT_BYTES: Final = 64 * 1024
INPUT: Final = "input"
SQL_PATH: Final = ("input", "sql")
ONE_SELECT: Final = "exactly one SELECT over the table input is wanted"
BARE_WORDS: Final = frozenset(
    {
        "current_catalog",
        "current_database",
        "current_query",
        "current_role",
        "current_schema",
        "current_user",
        "session_user",
    }
)
"""Words that DuckDB takes for functions although nothing is called."""


class RefusedError(Exception):
    """The message says where and why."""


def at_character(text: str, offset: int, message: str) -> str:
    """Return *message* after the line and column of a character of *text*."""
    before = text[:offset]
    line = before.count("\n") + 1
    column = offset - (before.rfind("\n") + 1) + 1
    return f"line {line}, column {column}: {message}"


def at_byte(text: str, offset: int | None, message: str) -> str:
    """Return *message* after the line and column of a byte of *text*, where that is known."""
    data = text.encode()
    if offset is None or offset > len(data):
        return message
    return at_character(text, len(data[:offset].decode(errors="ignore")), message)
