"""Pages of a list: how many things at once, each with the cursor after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.errors import InputError, Issue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    """One thing of a page, with the cursor after it."""

    cursor: str
    node: T


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some things of a list, in its order.

    Attributes:
        total: Length of the whole list, where it is known without reading it.
    """

    edges: tuple[Edge[T], ...]
    has_next: bool
    has_previous: bool
    total: int | None = None


def page_size(first: int, *, limit: int) -> int:
    """Return *first*, at most *limit*.

    Raises:
        InputError: It is negative.
    """
    if first < 0:
        raise InputError(Issue(("first",), f"must not be negative, is {first}"))
    return min(first, limit)
