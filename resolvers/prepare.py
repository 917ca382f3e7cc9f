"""From a checked input to what a job needs beside its spec: source and query, looked at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from engine.errors import InputError, Issue, SourceError
from engine.job import JobState
from engine.plan import Grain, grain_of
from engine.program import Program
from engine.sql.checker import CheckedSql, SqlCheck
from resolvers.access.authorize import require
from resolvers.access.caller import Caller, Scope
from resolvers.check import CheckedInput, located
from resolvers.ids import job_id_from
from resolvers.services import Services
from resolvers.uploads import resolve_upload


@dataclass(frozen=True, slots=True)
class Prepared:
    """What has been found out about a job.

    Attributes:
        checked: The input.
        resolved_source: Blob that an upload or another job stands for; None otherwise.
        sql: The query's steps; None for a program in Python.
    """

    checked: CheckedInput
    resolved_source: str | None
    sql: CheckedSql | None

    @property
    def is_map_only(self) -> bool:
        """Whether there is no reduce."""
        program = self.checked.program
        if isinstance(program, Program):
            return program.is_map_only
        return self.sql is not None and self.sql.is_map_only

    @property
    def grain(self) -> Grain:
        """How large batches should be, if the caller leaves it open."""
        program = self.checked.program
        return grain_of(program) if isinstance(program, Program) else Grain.LARGEST

    def reducers_of(self, wanted: int) -> int:
        """Return *wanted* as far as the job can be reduced in parts."""
        if self.is_map_only:
            return 0
        return 1 if self.sql is not None and self.sql.has_one_reducer else wanted

    @property
    def is_async(self) -> bool:
        """Whether map tasks wait on others and share a process."""
        program = self.checked.program
        return isinstance(program, Program) and program.is_async

    @property
    def supports_partial(self) -> bool:
        """Whether there can be an answer before all has been mapped."""
        program = self.checked.program
        if isinstance(program, Program):
            return program.combine is not None
        return self.sql is not None and self.sql.supports_partial


async def prepare(services: Services, *, caller: Caller, checked: CheckedInput) -> Prepared:
    """Look at the source, and at the query if there is one.

    Raises:
        InputError: The query, the output or the source is not what the caller may use.
        SourceError: A URI leads nowhere or where it must not, or listing takes too long.
        QuotaExceededError: Too much of the tenant waits to be looked at already.
    """
    spec = checked.spec
    if spec.output.uri is not None:
        services.destinations.check(spec.output.uri)
    resolved = await _resolved_source(services, caller, checked)
    try:
        if spec.source.files is not None:
            probe = partial(services.sources.probe, spec.source.files.uris)
            await services.threads.run(caller.tenant, probe)
        sql = None
        if checked.is_sql:
            request = SqlCheck(spec.to_json(), resolved)
            sql = await services.sql.check(request, tenant=caller.tenant)
    except SourceError as exc:
        raise located(exc) from exc
    return Prepared(checked, resolved, sql)


async def _resolved_source(services: Services, caller: Caller, checked: CheckedInput) -> str | None:
    source = checked.spec.source
    if source.upload is not None:
        found = await asyncio.to_thread(resolve_upload, services, caller, source.upload.id)
        return found.path
    if source.job is not None:
        return await _manifest_of(services, caller, source.job)
    return None


async def _manifest_of(services: Services, caller: Caller, job_id: str) -> str:
    """Return the blob that lists the result of another job of the caller.

    Raises:
        ForbiddenError: The caller may not read jobs.
        InputError: There is no such job, or it has no result.
    """
    require(caller, Scope.READ)
    path = ("input", "source", "job")
    known = job_id_from(job_id)
    (job,) = await services.jobs.get(caller.tenant, [known]) if known else [None]
    if known is None or job is None:
        raise InputError(Issue(path, f"no job {job_id!r}"))
    if job.status.state not in (JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED):
        raise InputError(Issue(path, f"{job_id} is {job.status.state}; it has no result to read"))
    details = await services.jobs.details(known)
    if details.manifest is None:
        raise InputError(Issue(path, f"the result of {job_id} has been erased"))
    return details.manifest
