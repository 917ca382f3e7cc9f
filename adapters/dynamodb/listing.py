"""Jobs, tasks and failed items in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from adapters.dynamodb.items import (
    COUNTER_PREFIX,
    as_hash,
    counters_key,
    failures_prefix,
    is_live,
    is_stale,
    job_pk,
    jobs_index,
    live_index,
    meta_key,
    task_key,
    task_of,
    tasks_prefix,
)
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.job_fields import read_failure, read_task
from engine.errors import NotFoundError
from engine.job import Job, JobId, Task, TaskKind, task_id
from engine.jobs import FailurePage, JobDetails, JobFilter, JobPage, TaskFilter, TaskPage

ReadJobs = Callable[[Sequence[JobId]], Iterator[tuple[Job | None, int]]]
"""Yields each job, one by one, with the length of what was submitted."""

JOBS_AT_ONCE: Final = 33
"""Each of which has three items, of which a hundred are read in one round trip."""
PAGE_BYTES: Final = 4 * 1024 * 1024
_KINDS: Final = (TaskKind.MAP, TaskKind.REDUCE, TaskKind.FINISH)

_Slot = tuple[TaskKind, int]


@dataclass(frozen=True, slots=True)
class DynamoListing:
    """Reads pages.

    Attributes:
        table: Where jobs are.
    """

    table: DynamoTable

    def page(
        self, tenant: str, read: ReadJobs, *, first: int, after: JobId | None, wanted: JobFilter
    ) -> JobPage:
        """List jobs, newest first; see ``JobStore``.

        Goes by the index, which hears of a new job within a second or so. Ends before *first* jobs
        where their specs are large.
        """
        created_after, states = wanted.created_after, wanted.states
        are_live = states is not None and not any(state.is_terminal for state in states)
        keys = self.table.query(
            live_index(tenant) if are_live else jobs_index(tenant),
            below=self._place(tenant, after),
            above=None if created_after is None else f"{_micros(created_after.timestamp()):016d}",
            index=True,
            newest_first=True,
        )
        jobs: list[Job] = []
        size_bytes = 0
        while ids := [JobId(item["pk"].partition("#")[2]) for item in islice(keys, JOBS_AT_ONCE)]:
            for job, spec_bytes in read(ids):
                if job is None or not wanted.admits(job):
                    continue
                jobs.append(job)
                size_bytes += spec_bytes
                if len(jobs) > first or size_bytes > PAGE_BYTES:
                    return JobPage(jobs=tuple(jobs[:first]), has_next=True)
        return JobPage(jobs=tuple(jobs), has_next=False)

    def details(self, job: JobId) -> JobDetails:
        """Return what is kept beside a job's status; see ``JobStore``."""
        found = self.table.get_many([meta_key(job), counters_key(job)])
        meta, counters = found.get(meta_key(job), {}), found.get(counters_key(job), {})
        return JobDetails(
            counters={
                name.removeprefix(COUNTER_PREFIX): float(value)
                for name, value in sorted(counters.items())
                if name.startswith(COUNTER_PREFIX)
            },
            manifest=meta.get("manifest"),
            report=meta.get("report"),
        )

    def tasks(self, job: JobId, *, first: int, after: int | None, wanted: TaskFilter) -> TaskPage:
        """List a job's tasks; see ``JobStore``."""
        meta = self.table.get(meta_key(job)) or {}
        slots = [
            (kind, index)
            for kind in _KINDS
            if wanted.kind in (None, kind)
            for index in range(meta.get(f"{kind.lower()}_total", 0))
        ]
        start = 0 if after is None else after + 1
        if wanted.state is None:
            total, here = len(slots), slots[start : start + first]
            keys = {slot: task_key(job, task_id(*slot)) for slot in here}
            found = self.table.get_many(keys.values())
            tasks = [_task(slot, found.get(keys[slot]), meta) for slot in here]
        else:
            known = self._known_tasks(job, wanted.kind)
            every = [_task(slot, known.get(slot), meta) for slot in slots]
            matching = [task for task in every if task.state is wanted.state]
            total, tasks = len(matching), matching[start : start + first]
        return TaskPage(
            tasks=tuple(tasks),
            first_position=start,
            total=total,
            has_next=start + first < total,
        )

    def failures(self, job: JobId, *, first: int, after: int | None) -> FailurePage:
        """List a job's failed items; see ``JobStore``."""
        start = 0 if after is None else after + 1
        meta = self.table.get(meta_key(job)) or {"run": 1}
        prefix = failures_prefix(meta["run"])
        found = self.table.query(job_pk(job), prefix=prefix, limit=start + first)
        total = meta.get("failures", 0)
        return FailurePage(
            failures=tuple(read_failure(item["failure"]) for item in islice(found, start, None)),
            first_position=start,
            total=total,
            has_next=start + first < total,
        )

    def _known_tasks(self, job: JobId, kind: TaskKind | None) -> dict[_Slot, Item]:
        items = self.table.query(job_pk(job), prefix=tasks_prefix(kind))
        return {task_of(item): item for item in items}

    def _place(self, tenant: str, job: JobId | None) -> str | None:
        """Return where a job is in the index of its tenant."""
        if job is None:
            return None
        meta = self.table.get(meta_key(job))
        if meta is None or meta.get("tenant") != tenant:
            raise NotFoundError(f"no job {job} to continue after")
        place: str = meta["gsi1sk"]
        return place


def _task(slot: _Slot, item: Item | None, meta: Item) -> Task:
    """Return a task; one of which nothing counts any more is pending, whatever its item says."""
    kind, index = slot
    if item is not None and is_stale(item, meta):
        item = {"attempt": item["attempt"]}
    return read_task(kind, index, as_hash(item or {}), is_over=not is_live(meta))


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)
