"""Statuses of HTTP in obstore's errors, which have them as text alone."""

from __future__ import annotations

import re
from typing import Final

_STATUS: Final = re.compile(r"status code: (\d{3})")


def status_of(text: str) -> str | None:
    """Return the status that the text of an error names; None where it names none."""
    found = _STATUS.search(text)
    return None if found is None else found[1]


def may_pass(status: str) -> bool:
    """Tell whether the same request may be answered later."""
    return status.startswith("5") or status in ("408", "429")
