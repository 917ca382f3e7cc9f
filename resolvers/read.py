"""Reading jobs, their tasks, their failed items and their counters."""

from __future__ import annotations

from typing import Final

from engine.cursor import bad_cursor, decode_cursor, decode_numbers, encode_cursor
from engine.errors import NotFoundError
from engine.job import ItemFailure, Job, JobId, Task
from engine.jobs import JobFilter, JobPage, TaskFilter
from resolvers.access.authorize import read_by, require, shown_to
from resolvers.access.caller import Caller, Scope
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

    Raises:
        ForbiddenError: The caller may not read.
    """
    require(caller, Scope.READ)
    return await _find_job(services, caller, job_id)


async def require_job(services: Services, *, caller: Caller, job_id: str) -> Job:
    """Return a job.

    Raises:
        ForbiddenError: The caller may not read.
        NotFoundError: It does not exist or is another tenant's.
    """
    job = await get_job(services, caller=caller, job_id=job_id)
    if job is None:
        raise NotFoundError(no_such_job(job_id))
    return job


async def job_after(services: Services, *, caller: Caller, job: JobId) -> Job:
    """Return a job that the caller has just submitted or changed, as they may see it.

    That takes no right to read; without it, rows are left out.

    Raises:
        NotFoundError: It does not exist or is another tenant's.
    """
    found = await _find_job(services, caller, job)
    if found is None:
        raise NotFoundError(no_such_job(job))
    return shown_to(caller, found)


async def _find_job(services: Services, caller: Caller, job_id: str) -> Job | None:
    known = job_id_from(job_id)
    if known is None or not caller.sees(known):
        return None
    (job,) = await services.jobs.get(caller.tenant, [known])
    if job is None and await restore_job(services, caller=caller, job=known):
        (job,) = await services.jobs.get(caller.tenant, [known])
    return None if job is None else read_by(caller, job)


async def list_jobs(
    services: Services,
    *,
    caller: Caller,
    first: int,
    after: str | None = None,
    wanted: JobFilter | None = None,
) -> Page[Job]:
    """List the jobs that the caller sees, newest first, 200 at most, in one read of the store.

    Raises:
        ForbiddenError: The caller may not read.
        InputError: *first* is negative, or *after* is no cursor of this list.
    """
    require(caller, Scope.READ)
    size = page_size(first, limit=MAX_JOBS)
    start = None if after is None else _job_of(after)
    wanted = wanted or JobFilter()
    if caller.jobs is None:
        found = await services.jobs.page(caller.tenant, first=size, after=start, wanted=wanted)
    else:
        found = await _page_of_few(services, caller, caller.jobs, size, start, wanted)
    return Page(
        edges=tuple(Edge(encode_cursor(job.id), job) for job in found.jobs),
        has_next=found.has_next,
        has_previous=after is not None,
    )


async def _page_of_few(
    services: Services,
    caller: Caller,
    jobs: frozenset[JobId],
    size: int,
    start: JobId | None,
    wanted: JobFilter,
) -> JobPage:
    """List jobs that are known by name, as those of a viewer token are."""
    known = await services.jobs.get(caller.tenant, sorted(jobs))
    found = [read_by(caller, job) for job in known if job]
    found.sort(key=lambda job: (job.created_at, job.id), reverse=True)
    if start is not None:
        places = {job.id: place for place, job in enumerate(found)}
        if start not in places:
            raise NotFoundError(f"no job {start} to continue after")
        found = found[places[start] + 1 :]
    matching = [job for job in found if wanted.admits(job)]
    return JobPage(jobs=tuple(matching[:size]), has_next=len(matching) > size)


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
