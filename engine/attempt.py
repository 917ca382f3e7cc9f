"""An attempt: one try at a task, as it is handed to whatever runs it, and what came of it.

Both travel as JSON between a worker and its task process. They hold references to data, never the
data, except for inline items.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from engine.batch import Batch
from engine.job import ItemFailure, JobError, JobId, TaskId, TaskKind, parse_task_id
from engine.listings import Listing, ListingStatus


@dataclass(frozen=True, slots=True)
class Piece:
    """The committed output of one task.

    Attributes:
        name: The blob.
        rows: Key-value pairs of a map task, result rows otherwise.
        size_bytes: Length of the blob.
        sha256: Digest of the blob in hex; empty for shuffle pieces, which do not outlive the job.
        cuts: Byte offsets of the partitions of a map task, one more than there are partitions. As
            input of a reduce task only the two around its own partition; as input of a finish task
            none.
        columns: Column names and types of result rows.
        data: The bytes themselves instead of a blob, where they are few: all of them in a map
            task's outcome, those of one partition as input of a reduce task. None: in the blob.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str = ""
    cuts: tuple[int, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    data: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``from_json`` reads; short, because a reduce task has thousands."""
        found: dict[str, Any] = {
            "name": self.name,
            "rows": self.rows,
            "size_bytes": self.size_bytes,
        }
        if self.sha256:
            found["sha256"] = self.sha256
        if self.cuts:
            found["cuts"] = list(self.cuts)
        if self.columns:
            found["columns"] = [list(column) for column in self.columns]
        if self.data is not None:
            found["data"] = b64encode(self.data).decode()
        return found

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Piece:
        """Read what ``to_json`` wrote."""
        inline = data.get("data")
        return cls(
            name=data["name"],
            rows=data["rows"],
            size_bytes=data["size_bytes"],
            sha256=data.get("sha256", ""),
            cuts=tuple(data.get("cuts", ())),
            columns=tuple((name, kind) for name, kind in data.get("columns", ())),
            data=None if inline is None else b64decode(inline),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one task.

    Attributes:
        number: 1 for the first; the fencing token of everything the attempt does.
        spec: The job's spec as JSON, without inline items.
        reducers: Partitions of the shuffle; 0 for a map-only job.
        batch: Input of a map task.
        inputs: Committed pieces of the phase before, in task order; of reduce and finish tasks. A
            reduce task gets only those that hold something for it, a partial task all that map
            tasks have committed so far, whole.
        timeout_s: How long the attempt may take; None for as long as it wants.
        job_summary: Facts for the manifest; of the finish task.
        sql: The steps of a job in SQL, as ``SqlJob.to_json`` wrote them; None for a program in
            Python.
        resolved_source: Blob that names the source's files, where they were looked up before the
            job was accepted.
        workers: How many workers are alive; of the plan task.
        may_inline: Whether a small piece may be kept in the ledger instead of a blob.
        coverage: Share of the source that *inputs* hold, 0 to 1; of a partial task.
        isolates: Whether items that fail are set aside instead of failing the attempt: in the last
            try of a map task, where the job skips bad items.
        aside: Items that are not run any more, since each ended the process: positions within the
            batch, and the error of each.
        cuts: Positions within the batch at which a ``map_batch`` is given no more items at once.
        listings: What became of each batch; of the finish task.
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
    sql: dict[str, Any] | None = None
    resolved_source: str | None = None
    workers: int = 1
    may_inline: bool = False
    coverage: float = 1.0
    isolates: bool = False
    aside: tuple[tuple[int, JobError], ...] = ()
    cuts: tuple[int, ...] = ()
    listings: tuple[Listing, ...] = ()

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
        """Return a form that ``from_json`` reads, without what is empty."""
        known = {"job": self.job, "task": self.task, "number": self.number, "spec": self.spec}
        rest = {
            "reducers": self.reducers,
            "batch": self.batch.to_json() if self.batch else None,
            "inputs": [piece.to_json() for piece in self.inputs],
            "timeout_s": self.timeout_s,
            "job_summary": self.job_summary,
            "sql": self.sql,
            "resolved_source": self.resolved_source,
            "workers": self.workers,
            "may_inline": self.may_inline,
            "coverage": self.coverage,
            "isolates": self.isolates,
            "aside": [[position, asdict(error)] for position, error in self.aside],
            "cuts": list(self.cuts),
            "listings": [asdict(listing) for listing in self.listings],
        }
        return known | {name: value for name, value in rest.items() if value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Attempt:
        """Read what ``to_json`` wrote."""
        return cls(**_read(data, _ATTEMPT_READERS))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt achieved; it becomes real when the ledger commits it.

    Attributes:
        items: Source items read.
        bytes_read: Bytes of the source read.
        piece: The output, if the task has one.
        counters: What the program counted.
        log: The last lines that the program logged.
        plan_batches: How many batches a plan task found; it has handed them over by then.
        plan_bytes: Bytes of all their files.
        reducers: Partitions that the plan chose.
        result: What the job's status shows at its end; of the finish task.
        partial: Rows of the answer so far as one JSON array; of a partial task.
        failures: Items that were set aside; *items* does not count them.
    """

    items: int = 0
    bytes_read: int = 0
    piece: Piece | None = None
    counters: dict[str, float] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    plan_batches: int = 0
    plan_bytes: int = 0
    reducers: int = 0
    result: ResultSummary | None = None
    partial: str | None = None
    failures: tuple[ItemFailure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``from_json`` reads, without what is empty."""
        found = {
            "items": self.items,
            "bytes_read": self.bytes_read,
            "piece": self.piece.to_json() if self.piece else None,
            "counters": self.counters,
            "log": list(self.log),
            "plan_batches": self.plan_batches,
            "plan_bytes": self.plan_bytes,
            "reducers": self.reducers,
            "result": asdict(self.result) if self.result else None,
            "partial": self.partial,
            "failures": [asdict(failure) for failure in self.failures],
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Read what ``to_json`` wrote."""
        return cls(**_read(data, _OUTCOME_READERS))


def _listing(data: dict[str, Any]) -> Listing:
    return Listing(**{**data, "status": ListingStatus(data["status"])})


def _failure(data: dict[str, Any]) -> ItemFailure:
    return ItemFailure(**{**data, "error": JobError(**data["error"])})


def _set_aside(data: list[Any]) -> tuple[int, JobError]:
    position, error = data
    return position, JobError(**error)


def _each(read: Callable[[Any], Any]) -> Callable[[Iterable[Any]], tuple[Any, ...]]:
    return lambda found: tuple(map(read, found))


def _read(data: dict[str, Any], readers: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {
        name: readers[name](value) if name in readers else value for name, value in data.items()
    }


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


_ATTEMPT_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "batch": Batch.from_json,
    "inputs": _each(Piece.from_json),
    "aside": _each(_set_aside),
    "cuts": tuple,
    "listings": _each(_listing),
}
_OUTCOME_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "piece": Piece.from_json,
    "log": tuple,
    "result": lambda found: ResultSummary(**found),
    "failures": _each(_failure),
}
