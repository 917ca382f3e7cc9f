"""Python's garbage collector, set for processes that make many objects and few cycles."""

from __future__ import annotations

import gc
from typing import Final

LOOK_AFTER_OBJECTS: Final = 200_000


def collect_garbage_seldom() -> None:
    """Look for cycles less often, and never at what is there by now; call it once all is loaded."""
    gc.freeze()
    gc.set_threshold(LOOK_AFTER_OBJECTS, 20, 100)
