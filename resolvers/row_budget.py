"""How much of results one operation may read, however many fields of it ask for rows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from engine.result import PAGE_BYTES


@dataclass(slots=True)
class RowBudget:
    """What may still be read; readers take turns, so that none starves beside another.

    Attributes:
        left_bytes: As JSON. When it is used up, every further page ends after its first row.
        turn: Held while reading.
    """

    left_bytes: int = PAGE_BYTES
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
