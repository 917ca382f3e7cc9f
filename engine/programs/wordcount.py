"""Count words, a word being what stands between white space."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from engine.context import Context
from engine.errors import NonRetryable
from engine.program import Program


class WordcountParams(BaseModel):
    """Parameters of wordcount."""

    model_config = ConfigDict(extra="forbid")

    top: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Only the most frequent words, in that order."
    )


def count_words(lines: list[str], ctx: Context) -> Counter[str]:
    """Count the words of a whole batch at the speed of ``Counter``."""
    try:
        return Counter(chain.from_iterable(map(str.split, lines)))
    except TypeError as exc:
        raise NonRetryable("an item is a row, not a line of text: use format TEXT") from exc


def total(key: str, values: list[int], ctx: Context) -> int:
    """Add up a word's counts."""
    return sum(values)


def keep_top(rows: Iterator[dict[str, Any]], ctx: Context) -> Iterable[dict[str, Any]]:
    """Keep the most frequent words, ties in the order of the words."""
    if ctx.params.top is None:
        return rows
    return heapq.nsmallest(ctx.params.top, rows, key=lambda row: (-row["value"], row["key"]))


PROGRAM = Program(
    name="wordcount",
    description="How often each word occurs, words being separated by white space.",
    map_batch=count_words,
    combine=total,
    reduce=total,
    finish=keep_top,
    params=WordcountParams,
)
