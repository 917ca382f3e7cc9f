"""Cursors: places in a list as opaque text, which a page gives out and a caller hands back.

The only codec of them; what a place is, each list decides. Anything may come back from a caller, so
reading refuses whatever was not written here.
"""

from __future__ import annotations

import base64
import binascii

from engine.errors import InputError, Issue


def encode_cursor(place: str) -> str:
    """Make a cursor of what identifies a place in a list."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def decode_cursor(cursor: str) -> str:
    """Read what ``encode_cursor`` made.

    Raises:
        InputError: It is none of ours.
    """
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        raise bad_cursor(cursor) from None


def decode_numbers(cursor: str, *, count: int, digits: int) -> tuple[int, ...]:
    """Read a cursor whose place is numbers with colons between them, none of them negative.

    Args:
        cursor: What ``encode_cursor`` made.
        count: How many numbers there are.
        digits: How long each may be.

    Raises:
        InputError: It is none of ours, or of another kind of list.
    """
    numbers = decode_cursor(cursor).split(":")
    if len(numbers) != count or not all(
        text.isascii() and text.isdigit() and len(text) <= digits for text in numbers
    ):
        raise bad_cursor(cursor)
    return tuple(map(int, numbers))


def bad_cursor(cursor: str) -> InputError:
    """Return the refusal of a cursor that no page of this list gave out."""
    return InputError(Issue(("after",), f"{cursor[:64]!r} is not a cursor of this list"))
