"""What was worked out lately, for callers who ask the same again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

KEPT: Final = 256

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps the answers to the last ``KEPT`` questions; not for several threads."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, T] = {}

    def answer(self, question: Hashable, find: Callable[[], T]) -> T:
        """Return what *find* returned when *question* was asked before, else ask it."""
        found = self._answers.pop(question) if question in self._answers else find()
        self._answers[question] = found
        while len(self._answers) > KEPT:
            del self._answers[next(iter(self._answers))]
        return found
