"""The plan of a run whose tasks another system hands out: its batches, and references to them.

Two blobs: the batches, a line of JSON each, and an array that names each map task, the bytes of
its batch and its number of items. Only the array is read by the system that hands tasks out, so
no data passes through it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from engine.attempt import Attempt, Piece
from engine.batch import Batch
from engine.blobs import BlobStore
from engine.job import TaskId, TaskKind, task_id

_FOLDER: Final = "plan"
_BATCHES: Final = "batches.jsonl"
_TASKS: Final = "tasks.json"
_LISTING: Final = "listing.json"


@dataclass(frozen=True, slots=True)
class TaskReference:
    """A map task, and where its batch is.

    Attributes:
        task: The task.
        start: First byte of its batch in the blob of batches.
        end: One past the last byte.
        items: As many as the batch is known to have.
    """

    task: TaskId
    start: int
    end: int
    items: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``from_json`` reads."""
        return {"task": self.task, "start": self.start, "end": self.end, "items": self.items}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TaskReference:
        """Read what ``to_json`` wrote."""
        return cls(TaskId(data["task"]), data["start"], data["end"], data["items"])


class PlanWriter:
    """Writes a plan batch by batch, so that one of any length takes little memory.

    Args:
        scratch: A folder for what is not stored yet.

    Attributes:
        known_items: Items of all batches, as far as they are known.
    """

    def __init__(self, scratch: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=scratch, prefix="plan-")
        self._batches = self._open(_BATCHES)
        self._tasks = self._open(_TASKS)
        self._count = self._end = self.known_items = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._batches.close()
        self._tasks.close()
        self._folder.cleanup()

    def add(self, batches: Iterable[Batch]) -> None:
        """Append batches; the first of all is that of ``map-0``."""
        for batch in batches:
            line = json.dumps(batch.to_json(), separators=(",", ":")).encode() + b"\n"
            start, self._end = self._end, self._end + len(line)
            task = task_id(TaskKind.MAP, self._count)
            reference = TaskReference(task, start, self._end, batch.known_items)
            self._batches.write(line)
            self._tasks.write(b",\n" if self._count else b"[")
            self._tasks.write(json.dumps(reference.to_json(), separators=(",", ":")).encode())
            self._count += 1
            self.known_items += batch.known_items

    def store(self, blobs: BlobStore, attempt: Attempt) -> Piece:
        """Store the plan as the output of a plan attempt; nothing can be added afterwards.

        Returns:
            The blob of batches, as many rows as there are; ``tasks_of`` names the other one.
        """
        self._tasks.write(b"]" if self._count else b"[]")
        for file, name in ((self._tasks, _TASKS), (self._batches, _BATCHES)):
            file.close()
            blobs.put_file(attempt.blob_name(_FOLDER, name), Path(file.name))
        batches = attempt.blob_name(_FOLDER, _BATCHES)
        return Piece(name=batches, rows=self._count, size_bytes=self._end)

    def _open(self, name: str) -> IO[bytes]:
        return (Path(self._folder.name) / name).open("wb")


@dataclass(frozen=True, slots=True)
class ListedSource:
    """A plan without batches: whoever hands tasks out lists the source, and cuts the listing.

    Attributes:
        uri: What is listed, such as ``s3://bucket/folder/``.
        max_items: Most entries of a batch.
    """

    uri: str
    max_items: int

    def store(self, blobs: BlobStore, attempt: Attempt) -> Piece:
        """Store the plan as the output of a plan attempt."""
        name = attempt.blob_name(_FOLDER, _LISTING)
        data = json.dumps({"uri": self.uri, "maxItems": self.max_items}).encode()
        blobs.put(name, data)
        return Piece(name=name, rows=0, size_bytes=len(data))

    @classmethod
    def read(cls, blobs: BlobStore, name: str) -> ListedSource | None:
        """Return the plan that is in the blob *name*; None where that is one of batches."""
        if not name.endswith(_LISTING):
            return None
        data = json.loads(blobs.read(name))
        return cls(data["uri"], data["maxItems"])


def tasks_of(batches: str) -> str:
    """Return the blob of references that belongs to a blob of batches."""
    return batches.removesuffix(_BATCHES) + _TASKS


def read_references(blobs: BlobStore, batches: str) -> list[TaskReference]:
    """Return all map tasks of the plan whose batches are in the blob *batches*."""
    return list(map(TaskReference.from_json, json.loads(blobs.read(tasks_of(batches)))))


def read_batches(
    blobs: BlobStore, batches: str, references: Sequence[TaskReference]
) -> Iterator[Batch]:
    """Yield the batches of some tasks, which follow one another in the plan."""
    if not references:
        return
    first = references[0].start
    data = blobs.read(batches, start=first, end=references[-1].end)
    for reference in references:
        yield Batch.from_json(json.loads(data[reference.start - first : reference.end - first]))
