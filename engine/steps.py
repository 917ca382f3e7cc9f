"""The steps of a job, each from stored input to stored output: plan, map, reduce, finish, partial.

One implementation for every runtime: an arq worker's task process, a Lambda and a Spark executor
are thin shells around ``Steps``. A step writes under names that only its attempt uses; what it
returns becomes real when the ledger commits it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.attempt import Attempt, Outcome, ResultSummary
from engine.batch import Batch
from engine.blobs import BlobStore
from engine.catalog import Catalog
from engine.context import Context
from engine.errors import OutputError, TaskError
from engine.isolation.aside import Aside
from engine.isolation.mark import Mark, mark_path
from engine.job import TaskKind
from engine.output.destination import Destinations
from engine.plan import BYTES_PER_ENTRY, check_number, plan_batches
from engine.program import Program
from engine.python_work import PythonWork
from engine.result import Manifest, inline_rows
from engine.scratch import ScratchFolder
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import JobSpec, LastSpec
from engine.task import EmitBatches, Mapped, Task
from engine.work import Work

BATCHES_AT_ONCE = 500
ITEMS_AT_ONCE = 5_000

SqlWorks = Callable[[Task, Context], Work]


@dataclass(frozen=True)
class Steps:
    """What a runtime needs to run any task.

    Attributes:
        catalog: The programs.
        blobs: Where pieces and results rest.
        sources: Where jobs may read.
        destinations: Where jobs may have results written.
        scratch: A folder for temporary data of this process alone.
        inline_result_bytes: Largest result that is shown whole in the job's status.
        sql: Makes the work of a job in SQL; None where this process runs no SQL.
        tidy: Called when an attempt has ended, however it did.
    """

    catalog: Catalog
    blobs: BlobStore
    sources: Sources
    destinations: Destinations
    scratch: Path
    inline_result_bytes: int
    sql: SqlWorks | None = None
    tidy: Callable[[], None] | None = None
    _specs: LastSpec = field(default_factory=LastSpec, repr=False)

    def run(self, attempt: Attempt, emit: EmitBatches | None = None) -> Outcome:
        """Run one attempt to its end.

        Args:
            attempt: What to do.
            emit: Takes the batches that a plan task finds, some at a time.

        Raises:
            TaskError: The program or the data is at fault.
            SourceError: The source cannot be read.
        """
        with self._task(attempt) as (task, context):
            work = self._work(task, context)
            match attempt.kind:
                case TaskKind.PLAN:
                    outcome = _plan(task, work, emit or _refuse)
                case TaskKind.MAP:
                    outcome = _mapped(task, work.map(task))
                case TaskKind.REDUCE:
                    outcome = Outcome(piece=work.reduce(task))
                case TaskKind.FINISH:
                    outcome = self._finish(task, work)
                case TaskKind.PARTIAL:
                    outcome = Outcome(
                        partial=work.partial(task, limit_bytes=self.inline_result_bytes)
                    )
            return _reported(outcome, context)

    async def run_async(self, attempt: Attempt) -> Outcome:
        """Run a map attempt whose program is ``async def``.

        Raises:
            TaskError: The program or the data is at fault.
            SourceError: The source cannot be read.
        """
        with self._task(attempt) as (task, context):
            mapped = await self._python_work(task, context).map_async(task)
            return _reported(_mapped(task, mapped), context)

    def _finish(self, task: Task, work: Work) -> Outcome:
        attempt = task.attempt
        manifest = Manifest(
            job=attempt.job,
            files=work.finish(task),
            exact=not attempt.job_summary.get("failedItems"),
            facts={"spec": attempt.spec, **attempt.job_summary},
            format=task.spec.output.format,
            listings=attempt.listings,
        )
        if task.spec.output.uri is not None:
            uri = task.spec.output.uri
            self.destinations.deliver(uri, manifest, self.blobs, attempt=attempt.number)
        name = attempt.blob_name("result", "manifest.json")
        self.blobs.put(name, manifest.to_bytes())
        summary = ResultSummary(
            rows=manifest.rows,
            size_bytes=manifest.size_bytes,
            inline=inline_rows(self.blobs, manifest, limit_bytes=self.inline_result_bytes),
            manifest=name,
        )
        return Outcome(result=summary)

    def _work(self, task: Task, context: Context) -> Work:
        if task.attempt.sql is None:
            return self._python_work(task, context)
        if self.sql is None:
            raise TaskError("this process runs no SQL")
        return self.sql(task, context)

    def _python_work(self, task: Task, context: Context) -> PythonWork:
        program = self.catalog.require(task.spec.program or "")
        if not isinstance(program, Program):
            raise TaskError(f"{program.name} is not a program in Python")
        context.params = program.parse_params(task.spec.params, "input", "params")
        aside = Aside(task.attempt.task) if task.attempt.isolates else None
        reader = BatchReader(
            task.sources,
            task.spec.source.layout,
            report=None if aside is None else aside.add_unreadable,
        )
        context.locate_by(lambda position: reader.place_of(task.batch, position))
        return PythonWork(program, reader, context, aside)

    @contextmanager
    def _task(self, attempt: Attempt) -> Iterator[tuple[Task, Context]]:
        spec = self._specs.read(attempt.spec)
        context = Context(
            params=spec.params,
            job_id=attempt.job,
            task_id=attempt.task,
            attempt=attempt.number,
        )
        with (
            self._tidying(),
            ScratchFolder(self.scratch) as folder,
            _keeping_log(attempt, spec, context),
        ):
            mark = Mark.open(mark_path(self.scratch, attempt)) if attempt.isolates else Mark()
            yield Task(attempt, spec, self.sources, self.blobs, folder, mark), context

    @contextmanager
    def _tidying(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self.tidy is not None:
                self.tidy()


def _plan(task: Task, work: Work, emit: EmitBatches) -> Outcome:
    batches = plan_batches(
        task.spec,
        task.sources,
        resolved=task.attempt.resolved_source,
        workers=task.attempt.workers,
        grain=work.grain,
        choice=work.choice,
    )
    count = size_bytes = waiting_items = 0
    waiting: list[Batch] = []
    for batch in batches:
        waiting.append(batch)
        count += 1
        size_bytes += batch.size_bytes or BYTES_PER_ENTRY * batch.known_items
        check_number(count, task.spec.batching)
        waiting_items += batch.known_items
        if len(waiting) == BATCHES_AT_ONCE or waiting_items >= ITEMS_AT_ONCE:
            emit(waiting)
            waiting, waiting_items = [], 0
    if waiting:
        emit(waiting)
    reducers = work.reducers(
        wanted=task.spec.reducers, size_bytes=size_bytes, workers=task.attempt.workers
    )
    return Outcome(plan_batches=count, plan_bytes=size_bytes, reducers=reducers)


def _mapped(task: Task, mapped: Mapped) -> Outcome:
    return Outcome(
        items=mapped.items,
        bytes_read=task.batch.size_bytes,
        piece=mapped.piece,
        failures=mapped.failures,
    )


def _reported(outcome: Outcome, context: Context) -> Outcome:
    return replace(outcome, counters=context.counters, log=tuple(context.log_lines))


def _refuse(batches: Sequence[Batch]) -> None:
    raise TaskError("nobody takes the batches of this plan")


@contextmanager
def _keeping_log(attempt: Attempt, spec: JobSpec, context: Context) -> Iterator[None]:
    try:
        yield
    except OutputError as exc:
        step = attempt.kind.value.lower()
        named = OutputError(f"{step} of {spec.program or 'the query'}: {exc}")
        named.log = tuple(context.log_lines)
        raise named from exc
    except TaskError as exc:
        exc.log = tuple(context.log_lines)
        raise
