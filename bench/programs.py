"""The program of the data-plane measurement in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine import Context, Program

_find = re.compile(r"\w+").findall


def count_words(lines: list[str], ctx: Context) -> Mapping[str, int]:
    """Count the words of a batch, line by line."""
    counts: dict[str, int] = {}
    for line in lines:
        for word in _find(line):
            counts[word] = counts.get(word, 0) + 1
    return counts


def total(key: str, values: list[int], ctx: Context) -> int:
    """Add up."""
    return sum(values)


regex_words = Program(name="regex_words", map_batch=count_words, combine=total, reduce=total)
