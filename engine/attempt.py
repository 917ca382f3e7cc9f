"""An attempt: one try at a task, as it is handed to whatever runs it, and what came of it.

Both travel as JSON between a worker and its task process. They hold references to data, never the
data, except for inline items.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.batch import Batch
from engine.job import JobId, TaskId, TaskKind, parse_task_id


@dataclass(frozen=True, slots=True)
class Piece:
    """The committed output of one task.

    Attributes:
        name: The blob.
        rows: Key-value pairs of a map task, result rows otherwise.
        size_bytes: Length of the blob.
        sha256: Digest of the blob in hex; empty for shuffle pieces, which do not outlive the job.
        cuts: Byte offsets of the partitions of a map task, one more than there are partitions.
        columns: Column names and types of result rows.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str = ""
    cuts: tuple[int, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``from_json`` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Piece:
        """Read what ``to_json`` wrote."""
        columns = tuple((name, kind) for name, kind in data["columns"])
        return cls(**{**data, "cuts": tuple(data["cuts"]), "columns": columns})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one task.

    Attributes:
        number: 1 for the first; the fencing token of everything the attempt does.
        spec: The job's spec as JSON, without inline items.
        reducers: Partitions of the shuffle; 0 for a map-only job.
        batch: Input of a map task.
        inputs: Committed pieces of the phase before, in task order; of reduce and finish tasks.
        timeout_s: How long the attempt may take; None for as long as it wants.
        job_summary: Facts for the manifest; of the finish task.
    """

    job: JobId
    task: TaskId
    number: int
    spec: dict[str, Any]
    reducers: int = 0
    batch: Batch | None = None
    inputs: tuple[Piece, ...] = ()
    timeout_s: float | None = None
    job_summary: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> TaskKind:
        """The kind of the task."""
        return parse_task_id(self.task)[0]

    @property
    def index(self) -> int:
        """Position of the task among those of its kind."""
        return parse_task_id(self.task)[1]

    def blob_name(self, folder: str, suffix: str) -> str:
        """Name an output of this attempt; no other attempt ever writes the same name."""
        return f"jobs/{self.job}/{folder}/{self.task}-a{self.number}.{suffix}"

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``from_json`` reads."""
        return {
            "job": self.job,
            "task": self.task,
            "number": self.number,
            "spec": self.spec,
            "reducers": self.reducers,
            "batch": self.batch.to_json() if self.batch else None,
            "inputs": [piece.to_json() for piece in self.inputs],
            "timeout_s": self.timeout_s,
            "job_summary": self.job_summary,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Attempt:
        """Read what ``to_json`` wrote."""
        return cls(
            **{
                **data,
                "batch": Batch.from_json(data["batch"]) if data["batch"] else None,
                "inputs": tuple(map(Piece.from_json, data["inputs"])),
            }
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt achieved; it becomes real when the ledger commits it.

    Attributes:
        items: Source items read.
        bytes_read: Bytes of the source read.
        piece: The output, if the task has one.
        counters: What the program counted.
        log: The last lines that the program logged.
        plan: The batches, of a plan task.
        reducers: Partitions that the plan chose.
        result: What the job's status shows at its end; of the finish task.
    """

    items: int = 0
    bytes_read: int = 0
    piece: Piece | None = None
    counters: dict[str, float] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    plan: tuple[Batch, ...] = ()
    reducers: int = 0
    result: ResultSummary | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``from_json`` reads."""
        return {
            "items": self.items,
            "bytes_read": self.bytes_read,
            "piece": self.piece.to_json() if self.piece else None,
            "counters": self.counters,
            "log": list(self.log),
            "plan": [batch.to_json() for batch in self.plan],
            "reducers": self.reducers,
            "result": asdict(self.result) if self.result else None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Read what ``to_json`` wrote."""
        return cls(
            **{
                **data,
                "piece": Piece.from_json(data["piece"]) if data["piece"] else None,
                "log": tuple(data["log"]),
                "plan": tuple(map(Batch.from_json, data["plan"])),
                "result": ResultSummary(**data["result"]) if data["result"] else None,
            }
        )


@dataclass(frozen=True, slots=True)
class ResultSummary:
    """A finished result in short.

    Attributes:
        rows: Number of rows in all files.
        size_bytes: Their length together.
        inline: All rows as one JSON array, when they fit; else None.
        manifest: Blob name of the manifest.
    """

    rows: int
    size_bytes: int
    inline: str | None
    manifest: str
