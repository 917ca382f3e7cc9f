"""Reading jobs, their tasks, their failed items and their counters."""

from __future__ import annotations

from typing import Final

from engine.cursor import bad_cursor, decode_cursor, decode_numbers, encode_cursor
from engine.errors import NotFoundError
from engine.job import ItemFailure, Job, JobId, Task
from engine.jobs import JobFilter, TaskFilter
from resolvers.caller import Caller
from resolvers.ids import job_id_from, no_such_job
from resolvers.pages import Edge, Page, page_size
from resolvers.restore import restore_job
from resolvers.services import Services

MAX_JOBS: Final = 200
MAX_TASKS: Final = 1_000
MAX_FAILURES: Final = 200


async def get_job(services: Services, *, caller: Caller, job_id: str) -> Job | None:
    """Return a job; None when it does not exist or is another tenant's.

    One that the store has lost is brought back when its result is still there.
    """
    known = job_id_from(job_id)
    if known is None:
        return None
    (job,) = await services.jobs.get(caller.tenant, [known])
    if job is None and await restore_job(services, caller=caller, job=known):
        (job,) = await services.jobs.get(caller.tenant, [known])
    return job


async def require_job(services: Services, *, caller: Caller, job_id: str) -> Job:
    """Return a job.

    Raises:
        NotFoundError: It does not exist or is another tenant's.
    """
    job = await get_job(services, caller=caller, job_id=job_id)
    if job is None:
        raise NotFoundError(no_such_job(job_id))
    return job


async def list_jobs(
    services: Services,
    *,
    caller: Caller,
    first: int,
    after: str | None = None,
    wanted: JobFilter | None = None,
) -> Page[Job]:
    """List the tenant's jobs, newest first, 200 at most, in one read of the store.

    Raises:
        InputError: *first* is negative, or *after* is no cursor of this list.
    """
    size = page_size(first, limit=MAX_JOBS)
    start = None if after is None else _job_of(after)
    found = await services.jobs.page(
        caller.tenant, first=size, after=start, wanted=wanted or JobFilter()
    )
    return Page(
        edges=tuple(Edge(encode_cursor(job.id), job) for job in found.jobs),
        has_next=found.has_next,
        has_previous=after is not None,
    )


def _job_of(cursor: str) -> JobId:
    job = job_id_from(decode_cursor(cursor))
    if job is None:
        raise bad_cursor(cursor)
    return job


async def list_tasks(
    services: Services,
    *,
    job: Job,
    first: int,
    after: str | None = None,
    wanted: TaskFilter | None = None,
) -> Page[Task]:
    """List a job's tasks in the order map, reduce, finish, 1,000 at most.

    Raises:
        InputError: *first* is negative, or *after* is no cursor of this list.
    """
    size = page_size(first, limit=MAX_TASKS)
    start = None if after is None else _position_of(after)
    found = await services.jobs.tasks(
        job.id, first=size, after=start, wanted=wanted or TaskFilter()
    )
    return Page(
        edges=tuple(
            Edge(encode_cursor(str(position)), task)
            for position, task in enumerate(found.tasks, found.first_position)
        ),
        has_next=found.has_next,
        has_previous=found.first_position > 0,
        total=found.total,
    )


async def list_failures(
    services: Services, *, job: Job, first: int, after: str | None = None
) -> Page[ItemFailure]:
    """List a job's failed items in the order in which they became known, 200 at most.

    Raises:
        InputError: *first* is negative, or *after* is no cursor of this list.
    """
    size = page_size(first, limit=MAX_FAILURES)
    start = None if after is None else _position_of(after)
    found = await services.jobs.failures(job.id, first=size, after=start)
    return Page(
        edges=tuple(
            Edge(encode_cursor(str(position)), failure)
            for position, failure in enumerate(found.failures, found.first_position)
        ),
        has_next=found.has_next,
        has_previous=found.first_position > 0,
        total=found.total,
    )


def _position_of(cursor: str) -> int:
    (position,) = decode_numbers(cursor, count=1, digits=10)
    return position


async def read_counters(services: Services, *, job: Job) -> dict[str, float]:
    """Return a job's counters by name, summed over committed attempts."""
    details = await services.jobs.details(job.id)
    return dict(sorted(details.counters.items()))
