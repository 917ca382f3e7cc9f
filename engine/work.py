"""What a job does in each phase, be it a program in Python or SQL."""

from __future__ import annotations

from typing import Protocol

from engine.attempt import Piece
from engine.plan import Grain
from engine.source.choice import FileChoice
from engine.task import Mapped, Task


class Work(Protocol):
    """The steps of one job. Every method runs one task to its end and may raise ``TaskError``."""

    @property
    def is_map_only(self) -> bool:
        """Whether map's output is the result, or what finish reads."""
        ...

    @property
    def grain(self) -> Grain:
        """How large batches should be, if the caller leaves it open."""
        ...

    @property
    def choice(self) -> FileChoice | None:
        """What leaves out files of which nothing will be used; None when all are wanted."""
        ...

    def reducers(self, *, wanted: int | None, size_bytes: int, workers: int) -> int:
        """Return how many reduce tasks there are: as *wanted*, or as suits the source's size."""
        ...

    def map(self, task: Task) -> Mapped:
        """Map a batch."""
        ...

    def reduce(self, task: Task) -> Piece:
        """Reduce a partition."""
        ...

    def finish(self, task: Task) -> tuple[Piece, ...]:
        """Return the result's files, in the order of their rows."""
        ...

    def partial(self, task: Task, *, limit_bytes: int) -> str | None:
        """Return the answer over the map tasks so far as a JSON array; None when it is longer."""
        ...
