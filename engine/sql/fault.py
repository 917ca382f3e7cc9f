"""Where in a query DuckDB finds fault, and why, in words for the query's author."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import duckdb

_EXPLAIN: Final = "EXPLAIN "
_POINTER: Final = re.compile(r"LINE (?P<line>\d+): (?P<text>.*)\n(?P<gap> *)\^")
_ADVICE: Final = re.compile(
    r"\n\nColumn |\n\nLINE |\n\s*Possible |\n\s*Try setting|\n\s*file ?= |\n\s*The search space |"
    r"\s*\\n (?=Set: )"
)
_LONG_LISTS: Final = "\n\tCandidate functions:"


def told(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    params: Mapping[str, Any],
    error: duckdb.Error,
) -> str:
    """Return what *error*, raised when *query* was bound, says, after the line and column.

    DuckDB names the place only where it executes a statement, so the query is explained once more.
    """
    message = str(error)
    try:
        connection.execute(_EXPLAIN + query, dict(params))
    except duckdb.Error as exc:
        message = str(exc)
    text = message.partition("\n\n")[0].partition(_LONG_LISTS)[0]
    return _place(message, query) + in_one_line(text)


def in_one_line(text: str) -> str:
    """Return a message of several lines as one."""
    return "; ".join(filter(None, map(str.strip, text.splitlines())))


def data_fault(text: str) -> str:
    """Return in one line what DuckDB says about data, without what it says of its own options."""
    return in_one_line(_ADVICE.split(text, maxsplit=1)[0])


def _place(message: str, query: str) -> str:
    found = _POINTER.search(message)
    if found is None:
        return ""
    line = int(found["line"])
    lines = (_EXPLAIN + query).split("\n")
    if line > len(lines) or found["text"] != lines[line - 1]:  # a long line is shown in part
        return f"line {line}: "
    column = len(found["gap"]) - len(f"LINE {line}: ") + 1
    return f"line {line}, column {column - len(_EXPLAIN) * (line == 1)}: "


__all__ = ["data_fault", "in_one_line", "told"]
