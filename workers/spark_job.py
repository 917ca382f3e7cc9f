"""A run of a job on Spark: plan and finish on the driver, map and reduce on executors.

Map tasks leave their pieces in the blob store as on every runner, so what has been committed
outlives executors, and a redrive finds it. Then Spark's shuffle takes over: each piece is read
once, its parts go to the machines that reduce them, and what does not fit there is spilled, where
elsewhere every reduce task reads a range of every piece. The ledger decides what is done, whatever
Spark runs again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

import pyarrow as pa

from engine.errors import UnavailableError
from engine.failed_runs import RUNNER_FAILED
from engine.job import JobError, JobId, TaskKind
from engine.plan_file import read_references
from engine.run_ledger import Phase, Retry
from workers.orchestrated import OrchestratedRun, Planned, RunOverError, TaskFailedError
from workers.spark_tasks import (
    NOTHING,
    PARTS,
    RunOf,
    map_tasks,
    pieces_table,
    reduce_tasks,
    references_table,
    send_parts,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

WATCH_EVERY_S: Final = 2.0
PAUSE_S: Final = 1.0
MAX_SENDERS: Final = 1_000
MAX_MESSAGE: Final = 1_000
TRIES: Final = 5

Session = Any
"""A ``pyspark.sql.SparkSession``; Spark is an extra, and has no part in checking types."""
Frame = Any
"""A ``pyspark.sql.DataFrame``."""


@dataclass(frozen=True, slots=True)
class SparkJob:
    """Runs jobs in one Spark session, one at a time.

    Attributes:
        session: Where executors are.
        run: The steps of the driver's process.
        run_of: Gives the steps of an executor's process.
    """

    session: Session
    run: OrchestratedRun
    run_of: RunOf

    def work(self, job: JobId, number: int) -> None:
        """Do run *number* of a job until it is over, by this or by whatever else ends it.

        Raises:
            Exception: Spark failed; the ledger has been told, if it answers.
        """
        with self._stopped_when_over(job, number):
            try:
                self._work(job)
            except (RunOverError, TaskFailedError) as exc:
                log.info("%s: %s", job, exc)
            except Exception as exc:
                if not self.run.ledger.is_live(job, number):
                    return  # that is why Spark was stopped
                message = f"Spark failed: {str(exc).partition(chr(10))[0]}"[:MAX_MESSAGE]
                error = JobError(RUNNER_FAILED, message, retryable=True)
                self.run.ledger.end(job, number, error)
                raise

    def _work(self, job: JobId) -> None:
        run = replace(self.run, workers=self.session.sparkContext.defaultParallelism)
        planned = _insisting(lambda: run.plan(job))
        while True:
            self._map(job, planned)
            phase = _insisting(lambda: self._opened(job, TaskKind.REDUCE))
            if phase.kind is TaskKind.REDUCE and phase.tasks:
                self._reduce(job, phase)
            if phase.kind is TaskKind.MAP or _insisting(lambda: self.run.finish(job)) is not None:
                _pause(PAUSE_S)  # some task has not ended, as when Spark gave up a rival of it
                continue
            return

    def _opened(self, job: JobId, kind: TaskKind) -> Phase:
        phase = self.run.ledger.open(job, kind)
        if phase is None:
            raise RunOverError(f"the run of {job} is over")
        return phase

    def _map(self, job: JobId, planned: Planned) -> None:
        references = read_references(self.run.steps.blobs, planned.batches)
        if not references:
            return
        at_once = min(len(references), planned.phase.max_concurrency or len(references))
        tasks = self._placed(self._frame(references_table(references)), at_once, "slot")
        step = partial(map_tasks, job=job, batches=planned.batches, run_of=self.run_of)
        tasks.sortWithinPartitions("slot").mapInArrow(step, NOTHING).collect()

    def _reduce(self, job: JobId, phase: Phase) -> None:
        pieces = pieces_table(self.run.ledger.pieces(job, TaskKind.MAP), tasks=phase.tasks)
        at_once = min(phase.tasks, phase.max_concurrency or phase.tasks)
        send = partial(send_parts, tasks=phase.tasks, run_of=self.run_of)
        sent = self._placed(self._frame(pieces), min(pieces.num_rows, MAX_SENDERS), "slot")
        parts = self._placed(sent.mapInArrow(send, PARTS), at_once, "task")
        step = partial(reduce_tasks, job=job, run_of=self.run_of)
        in_order = parts.sortWithinPartitions("task", "piece", "at")
        in_order.mapInArrow(step, NOTHING).collect()

    def _frame(self, table: pa.Table) -> Frame:
        return self.session.createDataFrame(table)

    def _placed(self, frame: Frame, partitions: int, column: str) -> Frame:
        """Deal rows out by a column of small numbers: evenly from Spark 4.1 on, else by hash."""
        placed = frame[column] % partitions
        if hasattr(frame, "repartitionById"):
            return frame.repartitionById(partitions, placed)
        return frame.repartition(partitions, placed)

    @contextmanager
    def _stopped_when_over(self, job: JobId, number: int) -> Iterator[None]:
        """Have Spark stop what it does for a run that the ledger says is over."""
        group = f"{job}-{number}"
        spark = self.session.sparkContext
        spark.setJobGroup(group, f"run {number} of {job}", interruptOnCancel=True)
        left = threading.Event()

        def watch() -> None:
            while not left.wait(WATCH_EVERY_S):
                with suppress(UnavailableError):
                    if not self.run.ledger.is_live(job, number):
                        spark.cancelJobGroup(group)

        watcher = threading.Thread(target=watch, name=f"watch-{group}", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            left.set()
            watcher.join()


def _insisting(step: Callable[[], T | Retry]) -> T:
    """Call a step of the driver until it is done, while the ledger answers now and then."""
    failed = 0
    while True:
        try:
            found = step()
        except UnavailableError as exc:
            failed += 1
            if failed == TRIES:
                raise
            log.warning("asking again: %s", exc)
            found = Retry(2.0**failed)
        if not isinstance(found, Retry):
            return found
        _pause(found.after_s)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
