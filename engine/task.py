"""One attempt with everything that it works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.attempt import Attempt, Piece
from engine.batch import Batch
from engine.blobs import BlobStore
from engine.isolation.mark import Mark
from engine.job import ItemFailure
from engine.scratch import ScratchFolder
from engine.source.sources import Sources
from engine.spec import JobSpec

EmitBatches = Callable[[Sequence[Batch]], None]


@dataclass(frozen=True)
class Task:
    """What a step gets.

    Attributes:
        attempt: What to do, and under which names to write.
        spec: What was submitted.
        sources: Where the records are.
        blobs: Where pieces and results rest.
        folder: Of this attempt alone, removed after it.
        mark: Is told which items are under way, where bad ones are set aside.
    """

    attempt: Attempt
    spec: JobSpec
    sources: Sources
    blobs: BlobStore
    folder: ScratchFolder
    mark: Mark = field(default_factory=Mark)

    @property
    def scratch(self) -> Path:
        """A folder of this attempt alone, made when it is first asked for."""
        return self.folder.path

    @property
    def batch(self) -> Batch:
        """The input of a map task."""
        return self.attempt.batch or Batch()

    @property
    def result_name(self) -> str:
        """The name of a result file of this attempt, without its suffix."""
        return self.attempt.blob_name("result", "").rstrip(".")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a map task made.

    Attributes:
        items: Records read, without those that were set aside.
        piece: Pairs for reduce, or result rows of a job without one.
        failures: What was set aside.
    """

    items: int
    piece: Piece
    failures: tuple[ItemFailure, ...] = ()
