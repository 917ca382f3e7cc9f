"""Find the lines that match a regular expression. Map-only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.context import Context
from engine.program import Program


class GrepParams(BaseModel):
    """Parameters of grep."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    pattern: str = Field(max_length=1_000, description="A Python regular expression.")
    ignore_case: bool = Field(default=False, alias="ignoreCase")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as exc:
            raise ValueError(f"not a regular expression: {exc}") from exc
        return value


@lru_cache(maxsize=16)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE if ignore_case else 0)


def matching_lines(item: Any, ctx: Context) -> Iterator[dict[str, Any]]:
    """Yield the line with where it stands; rows of tables are searched as their values."""
    line = item if isinstance(item, str) else " ".join(map(str, item.values()))
    if _compiled(ctx.params.pattern, ctx.params.ignore_case).search(line):
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
