"""Pages of a list: how many, from where on, and the opaque cursors between them."""

from __future__ import annotations

import base64
import binascii
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


def encode_cursor(text: str) -> str:
    """Make a cursor of what identifies a place in a list."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode_cursor(cursor: str) -> str:
    """Read what ``encode_cursor`` made.

    Raises:
        InputError: It is none of ours.
    """
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        raise bad_cursor(cursor) from None


def bad_cursor(cursor: str) -> InputError:
    """Return the refusal of a cursor that no page of this list gave out."""
    return InputError(Issue(("after",), f"{cursor[:64]!r} is not a cursor of this list"))
