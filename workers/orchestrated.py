"""The steps of a run whose tasks another system hands out: Step Functions, Spark.

That system calls each step, in the order plan, map, shuffle, reduce, finish, and again if a call
was lost, its process died, or the answer asks for it. Whatever it does, the ledger sees to it that
each task is committed once. A step that opens a phase answers which one is next: after a redrive
that may be an earlier one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.attempt import Attempt, Outcome, Piece
from engine.batch import Batch
from engine.errors import (
    NotFoundError,
    SourceChangedError,
    SourceError,
    TaskError,
)
from engine.job import JobError, JobId, TaskId, TaskKind, task_id
from engine.ledger import Claim, Verdict
from engine.piece_index import read_piece_index, write_piece_index
from engine.plan import plan_inline
from engine.plan_file import ListedSource, PlanWriter, TaskReference, read_batches
from engine.program import Program
from engine.run_ledger import Phase, Retry, RunLedger
from engine.source.listing import list_entries
from engine.spec import FilesMode, JobSpec
from engine.steps import Steps
from workers.discard import discard
from workers.failure import error_of, log_of
from workers.lister import Lister
from workers.task_process import AttemptFailed
from workers.time_limit import time_limit

log = logging.getLogger(__name__)

LISTED_REDUCERS: Final = 8
"""Of a source that nobody has seen when the number is settled; the ledger merges small ones."""

Execute = Callable[[Attempt], Outcome]


class TaskFailedError(Exception):
    """A task has failed for good; the ledger knows."""


class RunOverError(Exception):
    """The run has ended, so there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be mapped.

    Attributes:
        phase: Of map tasks; of no number where the source is *listed*.
        batches: Blob of the batches, beside which ``tasks_of`` names the references.
        listed: What the caller lists instead.
    """

    phase: Phase
    batches: str
    listed: ListedSource | None = None


@dataclass(frozen=True, slots=True)
class Shuffled:
    """What comes after map.

    Attributes:
        phase: The next one: reduce, finish, or map once more.
        index: Blob that tells each reduce task what to read.
    """

    phase: Phase
    index: str = ""


@dataclass(frozen=True, slots=True)
class OrchestratedRun:
    """Runs steps of jobs, one at a time.

    Every step raises ``UnavailableError`` when the ledger does not answer, and is then to be called
    again. A step that runs a task answers with ``Retry`` when it is to be called again after a
    while, and raises ``TaskFailedError`` when the task has failed for good.

    Attributes:
        ledger: Decides what is done.
        steps: Runs attempts, in this process.
        lister: Lists batches before the finish task.
        worker: Shown with the tasks.
        workers: As how many the plan counts those who share the work.
        max_listed_items: Most entries of a batch where the caller lists sources itself; None where
            it does not.
        ends_at: When this process ends, by the monotonic clock; None for never.
    """

    ledger: RunLedger
    steps: Steps
    lister: Lister
    worker: str
    workers: int = 1
    max_listed_items: int | None = None
    ends_at: float | None = None

    def plan(self, job: JobId) -> Planned | Retry:
        """Find the batches of a job, unless they are known, and open the map phase.

        Raises:
            RunOverError: The job's run has ended.
        """
        attempt = self.ledger.begin(job, task_id(TaskKind.PLAN, 0), worker=self.worker)
        if attempt is not None:
            retry = self._run(replace(attempt, workers=self.workers), self._plan)
            if retry is not None:
                return retry
        phase = self._opened(job, TaskKind.MAP)
        batches = next(iter(self.ledger.pieces(job, TaskKind.PLAN))).name
        return Planned(phase, batches, ListedSource.read(self.steps.blobs, batches))

    def map(self, job: JobId, batches: str, references: Sequence[TaskReference]) -> Retry | None:
        """Map some batches of a plan, which follow one another, one by one."""
        found = read_batches(self.steps.blobs, batches, references)
        return self._map(job, zip((each.task for each in references), found, strict=True))

    def map_listed(self, job: JobId, run: int, number: int, batch: Batch) -> Retry | None:
        """Map entries that the caller has listed, as batch *number* of the listing.

        Ends the run where an earlier listing had others there: tasks may have been mapped by it.
        """
        task = task_id(TaskKind.MAP, number)
        if not self._is_as_listed(f"jobs/{job}/plan/{task}.json", batch):
            message = "the source has changed since it was listed first; submit the job again"
            self.ledger.end(job, run, JobError(SourceChangedError.code, message, task_id=task))
            return None
        return self._map(job, [(task, batch)])

    def shuffle(self, job: JobId) -> Shuffled:
        """Close the map phase, and tell reduce tasks what to read.

        Raises:
            RunOverError: The job's run has ended, as it may by this step.
        """
        phase = self._opened(job, TaskKind.REDUCE)
        if phase.kind is not TaskKind.REDUCE:
            return Shuffled(phase)
        if not phase.tasks:
            return Shuffled(self._opened(job, TaskKind.FINISH))
        pieces = list(self.ledger.pieces(job, TaskKind.MAP))
        index = f"jobs/{job}/shuffle/index-{uuid.uuid4().hex}.arrows"
        partitions = len(pieces[0].cuts) - 1 if pieces else phase.tasks
        write_piece_index(self.steps.blobs, index, pieces, tasks=phase.tasks, partitions=partitions)
        return Shuffled(phase, index)

    def reduce(self, job: JobId, index: str, number: int) -> Retry | None:
        """Run reduce task *number*; *index* is from ``shuffle``."""
        return self.reduce_parts(
            job, number, lambda: read_piece_index(self.steps.blobs, index, number)
        )

    def reduce_parts(
        self, job: JobId, number: int, parts: Callable[[], tuple[Piece, ...]]
    ) -> Retry | None:
        """Run reduce task *number* on what *parts* returns, which is asked once for an attempt."""
        task = task_id(TaskKind.REDUCE, number)
        attempt = self.ledger.begin(job, task, worker=self.worker)
        if attempt is None:
            return None
        return self._run(attempt, lambda begun: self.steps.run(replace(begun, inputs=parts())))

    def finish(self, job: JobId) -> Phase | Retry | None:
        """Write the result; the job has ended when this returns None.

        Returns:
            An earlier phase where tasks of it have yet to end.

        Raises:
            RunOverError: The job's run has ended.
        """
        phase = self._opened(job, TaskKind.FINISH)
        if phase.kind is not TaskKind.FINISH:
            return phase
        task = task_id(TaskKind.FINISH, 0)
        attempt = self.ledger.begin(job, task, worker=self.worker)
        return None if attempt is None else self._run(attempt, self._finish)

    def lost(self, job: JobId, tasks: Iterable[TaskId], error: JobError) -> Retry | None:
        """Tell the ledger that the process which ran *tasks* in turn has died, or was given up.

        None when none of them is to be tried again.
        """
        for task in tasks:
            retry = self.ledger.lost(job, task, replace(error, task_id=task))
            if retry is not None:  # those behind it were not begun
                return retry
        return None

    def give_up(self, job: JobId, tasks: Sequence[TaskId]) -> None:
        """Fail where *tasks* have ended; do nothing where a redrive wants one of them again.

        Raises:
            TaskFailedError: None of them is wanted.
        """
        if not any(self.ledger.is_wanted(job, task) for task in tasks):
            raise TaskFailedError(f"{', '.join(tasks[:3])}: failed for good; the job tells why")

    def _opened(self, job: JobId, kind: TaskKind) -> Phase:
        phase = self.ledger.open(job, kind)
        if phase is None:
            raise RunOverError(f"the run of {job} is over")
        return phase

    def _map(self, job: JobId, tasks: Iterable[tuple[TaskId, Batch]]) -> Retry | None:
        """Map batches; those that are left when time runs short are to be asked for again."""
        waits: list[float] = []
        failed: TaskFailedError | None = None
        longest_s = 0.0
        for task, batch in tasks:
            began = time.monotonic()
            if self.ends_at is not None and longest_s and began + 2 * longest_s > self.ends_at:
                return Retry(max(waits, default=0))
            known = batch.known_items
            attempt = self.ledger.begin(job, task, worker=self.worker, known_items=known)
            if attempt is None:
                continue
            try:
                retry = self._run(replace(attempt, batch=batch), self._mapped)
            except TaskFailedError as exc:
                failed = exc
            else:
                waits += [] if retry is None else [retry.after_s]
            longest_s = max(longest_s, time.monotonic() - began)
        if waits:
            return Retry(max(waits))
        if failed is not None:
            raise failed
        return None

    def _is_as_listed(self, name: str, batch: Batch) -> bool:
        """Return whether *batch* is what was noted in the blob *name*, where something was."""
        text = json.dumps(batch.to_json()).encode()
        try:
            return self.steps.blobs.read(name) == text
        except NotFoundError:
            self.steps.blobs.put(name, text)
            return True

    def _run(self, attempt: Attempt, execute: Execute) -> Retry | None:
        """Run an attempt and tell the ledger what became of it."""
        claim = Claim(attempt.job, attempt.task, attempt.number)
        try:
            with time_limit(self._limit_s(attempt), of=attempt.task):
                outcome = execute(attempt)
        except AttemptFailed as exc:
            error, logged = replace(exc.error, task_id=attempt.task), exc.log
        except Exception as exc:  # noqa: BLE001 - whatever a program raises, the ledger is told
            error, logged = error_of(exc, attempt.task), log_of(exc)
        else:
            if self.ledger.commit(claim, outcome) is Verdict.FENCED:
                discard(self.steps.blobs, claim, outcome)
            return None
        log.info("%s of %s failed: %s", claim.task, claim.job, error.message)
        retry = self.ledger.fail(claim, error, log=logged, location=self._place_of(attempt))
        if retry is None:
            raise TaskFailedError(f"{attempt.task}: {error.message}")
        return retry

    def _limit_s(self, attempt: Attempt) -> float | None:
        left_s = None if self.ends_at is None else self.ends_at - time.monotonic()
        limits = [limit for limit in (attempt.timeout_s, left_s) if limit is not None]
        return min(limits, default=None)

    def _plan(self, attempt: Attempt) -> Outcome:
        spec = JobSpec.model_validate(attempt.spec)
        if self.max_listed_items is not None and (uri := self._listed_uri(spec, attempt)):
            return self._plan_listed(spec, attempt, uri, self.max_listed_items)
        with PlanWriter(self.steps.scratch) as plan:
            if spec.source.inline is None:
                outcome = self.steps.run(attempt, plan.add)
            else:
                inline = plan_inline(spec, is_map_only=True)
                plan.add(inline.batches)
                outcome = Outcome(plan_batches=len(inline.batches), reducers=attempt.reducers)
            piece = plan.store(self.steps.blobs, attempt)
            return replace(outcome, items=plan.known_items, piece=piece)

    def _listed_uri(self, spec: JobSpec, attempt: Attempt) -> str | None:
        """Return the one folder in S3 whose files are the items, where that is what is mapped."""
        files = spec.source.files
        if files is None or files.mode is not FilesMode.OBJECTS or attempt.sql is not None:
            return None
        uri, *others = files.uris
        if others or spec.batching.max_bytes is not None:
            return None
        is_folder = uri.lower().startswith("s3://") and uri.endswith("/") and "*" not in uri
        return uri if is_folder else None

    def _plan_listed(self, spec: JobSpec, attempt: Attempt, uri: str, max_items: int) -> Outcome:
        # Nobody may list what no job may read, and an empty folder is an error.
        next(iter(list_entries(spec, self.steps.sources)))
        program = self.steps.catalog.require(spec.program or "")
        is_map_only = isinstance(program, Program) and program.is_map_only
        listed = ListedSource(uri, min(spec.batching.max_items or max_items, max_items))
        return Outcome(
            reducers=0 if is_map_only else spec.reducers or LISTED_REDUCERS,
            piece=listed.store(self.steps.blobs, attempt),
        )

    def _mapped(self, attempt: Attempt) -> Outcome:
        if attempt.sql is None:
            program = self.steps.catalog.get(str(attempt.spec["program"]))
            if isinstance(program, Program) and program.is_async:
                return asyncio.run(self.steps.run_async(attempt))
        return self.steps.run(attempt)

    def _finish(self, attempt: Attempt) -> Outcome:
        kind = TaskKind.REDUCE if attempt.reducers else TaskKind.MAP
        inputs = tuple(replace(p, cuts=()) for p in self.ledger.pieces(attempt.job, kind))
        if attempt.reducers and not inputs:
            raise TaskError("no reduce task has left anything")
        return self.steps.run(asyncio.run(self.lister.prepare(replace(attempt, inputs=inputs))))

    def _place_of(self, attempt: Attempt) -> str:
        try:
            return "" if attempt.batch is None else attempt.batch.place(self.steps.sources.name_of)
        except SourceError:
            return ""
