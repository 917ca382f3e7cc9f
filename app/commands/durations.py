"""Durations as people type them."""

from __future__ import annotations

import math
import re
from typing import Final

import typer

_DURATION: Final = re.compile(r"(?P<count>\d+(?:\.\d+)?|\.\d+)(?P<unit>ms|s|m|h|d)?", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def duration_s(word: str | float) -> float:
    """Read a duration such as ``90``, ``250ms``, ``1.5s``, ``10m``, ``2h`` or ``7d`` as seconds.

    Raises:
        typer.BadParameter: It is none.
    """
    found = _DURATION.fullmatch(str(word))
    seconds = math.inf if found is None else float(found["count"]) * _SECONDS[found["unit"] or "s"]
    if math.isinf(seconds):
        raise typer.BadParameter(f"{word!r} is no duration such as 90, 250ms, 10m, 2h or 7d")
    return seconds
