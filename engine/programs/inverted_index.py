"""List, for every word, the places where it occurs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.context import Context
from engine.errors import NonRetryable
from engine.program import Program


def words_of_line(line: str, ctx: Context) -> Iterator[tuple[str, list[str]]]:
    """Yield each word of the line with the name of the file that holds it."""
    if not isinstance(line, str):
        raise NonRetryable("an item is a row, not a line of text: use format TEXT")
    place = ctx.place
    name = place.name if place else "inline"
    for word in dict.fromkeys(line.split()):
        yield word, [name]


def union(key: str, values: Iterable[list[str]], ctx: Context) -> list[str]:
    """Merge lists of names, each name once, in order."""
    return sorted({name for names in values for name in names})


PROGRAM = Program(
    name="inverted_index",
    description="For every word, the files that contain it.",
    map=words_of_line,
    combine=union,
    reduce=union,
)
