"""Find the lines that match a regular expression. Map-only.

Patterns are RE2's, whose time grows with the line alone: with Python's own, one line could hold a
worker for ever. They are also bounded, because they are checked where jobs are submitted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import re2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.context import Context
from engine.program import Program

MAX_PATTERN_BYTES: Final = 64 * 1024
"""What a pattern may become; twice as much takes four times as long to prepare."""
MAX_COSTLY_PARTS: Final = 32
"""What a short text makes much of: each costs up to 0.15 ms before the size is known."""
_COSTLY_PART: Final = re.compile(r"\\[pP]|\{\d")
_SEARCH_BYTES: Final = 8 * 1024 * 1024


class GrepParams(BaseModel):
    """Parameters of grep."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    pattern: str = Field(max_length=1_000, description="A regular expression in RE2's syntax.")
    ignore_case: bool = Field(default=False, alias="ignoreCase")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        costly = len(_COSTLY_PART.findall(value))
        if costly > MAX_COSTLY_PARTS:
            raise ValueError(
                f"has {costly} repetition counts and Unicode classes, "
                f"the limit is {MAX_COSTLY_PARTS}"
            )
        try:
            re2.compile(value, _options(max_bytes=MAX_PATTERN_BYTES))
        except re2.error as exc:
            problem = exc.args[0].decode("utf-8", "replace")
            raise ValueError(f"not a regular expression of RE2: {problem}") from exc
        return value


def _options(*, max_bytes: int, ignore_case: bool = False) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    options.max_mem = max_bytes
    options.never_capture = True
    return options


@lru_cache(maxsize=16)
def _compiled(pattern: str, ignore_case: bool) -> Any:
    return re2.compile(pattern, _options(max_bytes=_SEARCH_BYTES, ignore_case=ignore_case))


def matching_lines(item: Any, ctx: Context) -> Iterator[dict[str, Any]]:
    """Yield the line with where it stands; rows of tables are searched as their values."""
    line = item if isinstance(item, str) else " ".join(map(str, item.values()))
    # As bytes, because RE2 would turn each match's offsets into those of a text.
    if _compiled(ctx.params.pattern, ctx.params.ignore_case).search(line.encode()):
        place = ctx.place
        yield {
            "name": place.name if place else None,
            "offset": place.offset if place else None,
            "line": line,
        }


PROGRAM = Program(
    name="grep",
    description="Lines that match a regular expression, with the file and byte they start at.",
    map=matching_lines,
    params=GrepParams,
)
