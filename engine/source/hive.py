"""Columns that are written into folder names, as in ``year=2026/month=11/a.parquet``.

Every row of a file below such folders has them, unless it has a column of that name itself. Names
and values are URL-decoded; ``__HIVE_DEFAULT_PARTITION__`` is null; a value of up to 18 digits that
does not begin with a needless zero is an integer; anything else is text. Of two folders that give
the same column the outer one counts, as in DuckDB.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_INTEGER: Final = re.compile(r"-?[1-9][0-9]{0,17}|0")


def hive_columns(name: str) -> dict[str, str | int | None]:
    """Return the columns that the folders of *name*, a file's path, give."""
    columns: dict[str, str | int | None] = {}
    for folder in name.split("/")[:-1]:
        column, equals, value = folder.partition("=")
        if column and equals:
            columns.setdefault(unquote(column), _value(unquote(value)))
    return columns


def _value(text: str) -> str | int | None:
    if text == _NULL:
        return None
    return int(text) if _INTEGER.fullmatch(text) else text
