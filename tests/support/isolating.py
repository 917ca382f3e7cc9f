"""Whole small jobs in this process, whose map tasks set bad items aside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Attempt, Outcome, Piece
from engine.batch import Batch
from engine.catalog import Catalog
from engine.job import ItemFailure, JobError, JobId, TaskId
from engine.output.destination import Destinations
from engine.plan import plan_batches
from engine.program import Program
from engine.result import Manifest, read_all
from engine.source.sources import Sources
from engine.spec import JobSpec, parse_spec
from engine.sql.checker import SqlCheck
from engine.sql.runtime import SqlRuntime
from engine.steps import Steps

SKIP = {"badItems": "SKIP", "toleratedFailureCount": 1_000_000}


@dataclass(frozen=True)
class Ran:
    """What a job gave.

    Attributes:
        rows: Of the result.
        failures: Of all map tasks, in their order.
        items: That were mapped.
        counters: Of all map tasks together.
    """

    rows: list[Any]
    failures: tuple[ItemFailure, ...]
    items: int
    counters: dict[str, float] = field(default_factory=dict)

    @property
    def places(self) -> list[str]:
        return [failure.location for failure in self.failures]


class Lab:
    """Runs jobs of *programs* over files in *folder*, each step in this process."""

    def __init__(self, folder: Path, *programs: Program) -> None:
        self.sources_folder = folder / "sources"
        scratch = folder / "scratch"
        for path in (self.sources_folder, scratch):
            path.mkdir(exist_ok=True)
        sources = Sources.local(self.sources_folder)
        catalog = Catalog({program.name: program for program in programs})
        self._sql = SqlRuntime(
            catalog=catalog, sources=sources, folders=[self.sources_folder], scratch=scratch
        )
        self.steps = Steps(
            catalog=catalog,
            blobs=ObstoreBlobs.local(folder / "blobs"),
            sources=sources,
            destinations=Destinations({}),
            scratch=scratch,
            inline_result_bytes=0,
            sql=self._sql.work,
            tidy=self._sql.tidy,
        )
        self._jobs = 0

    def file(self, name: str, content: bytes) -> dict[str, Any]:
        """Write a file and return the source that it is."""
        (self.sources_folder / name).write_bytes(content)
        return {"files": {"uris": [name]}}

    def run(
        self,
        work: Program | str,
        source: Any,
        *,
        aside: Iterable[tuple[int, JobError]] = (),
        cuts: Sequence[int] = (),
        isolates: bool = True,
        **spec: Any,
    ) -> Ran:
        """Run a program or a query and return what it gives."""
        named = {"sql": work} if isinstance(work, str) else {"program": work.name}
        given = source if isinstance(source, dict) else {"inline": deepcopy(list(source))}
        parsed = parse_spec({**named, "source": given, "failurePolicy": SKIP, **spec})
        self._jobs += 1
        job = _Job(JobId(f"j-{self._jobs}"), parsed, self._checked(parsed))
        is_map_only = job.sql["steps"]["reduce"] is None if job.sql else _is_map_only(work)
        outcomes = [
            self._mapped(
                job.attempt(
                    f"map-{index}",
                    batch=batch,
                    reducers=0 if is_map_only else 1,
                    isolates=isolates,
                    aside=tuple(aside),
                    cuts=tuple(cuts),
                ),
                work,
            )
            for index, batch in enumerate(self._batches(parsed))
        ]
        pieces = tuple(outcome.piece for outcome in outcomes if outcome.piece)
        if not is_map_only:
            reduced = self.steps.run(job.attempt("reduce-0", inputs=pieces, reducers=1)).piece
            assert reduced is not None
            pieces = (reduced,)
        finished = self.steps.run(job.attempt("finish-0", inputs=pieces)).result
        assert finished is not None
        manifest = Manifest.from_bytes(self.steps.blobs.read(finished.manifest))
        counters: dict[str, float] = {}
        for outcome in outcomes:
            for name, n in outcome.counters.items():
                counters[name] = counters.get(name, 0) + n
        return Ran(
            rows=list(read_all(self.steps.blobs, manifest)),
            failures=tuple(failure for outcome in outcomes for failure in outcome.failures),
            items=sum(outcome.items for outcome in outcomes),
            counters=counters,
        )

    def _mapped(self, attempt: Attempt, work: Program | str) -> Outcome:
        if isinstance(work, Program) and work.is_async:
            return asyncio.run(self.steps.run_async(attempt))
        return self.steps.run(attempt)

    def _batches(self, spec: JobSpec) -> list[Batch]:
        if spec.source.inline is None:
            return list(plan_batches(spec, self.steps.sources))
        items, size = spec.source.inline, spec.batching.max_items or len(spec.source.inline) or 1
        return [
            Batch(items=tuple(items[first : first + size]), first_item=first)
            for first in range(0, len(items), size)
        ]

    def _checked(self, spec: JobSpec) -> dict[str, Any] | None:
        if spec.sql is None:
            return None
        return self._sql.check(SqlCheck(spec.to_json())).job


@dataclass(frozen=True)
class _Job:
    id: JobId
    spec: JobSpec
    sql: dict[str, Any] | None

    def attempt(self, task: str, *, inputs: tuple[Piece, ...] = (), **more: Any) -> Attempt:
        spec = self.spec.to_json()
        return Attempt(
            self.id, TaskId(task), 1, spec, inputs=inputs, sql=self.sql, may_inline=True, **more
        )


def _is_map_only(work: Program | str) -> bool:
    return isinstance(work, Program) and work.is_map_only
