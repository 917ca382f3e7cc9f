"""Changing a live job: its concurrency, its tolerance, its tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from engine.errors import InputError, Issue
from engine.job import Job
from engine.jobs import JobUpdate
from engine.spec import Tags, issues_of
from resolvers.access.authorize import require, require_own_id
from resolvers.access.caller import Caller, Scope
from resolvers.check import unstorable
from resolvers.read import job_after
from resolvers.services import Services


class _Changes(BaseModel):
    """The input, with the limits that a submitted job has."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    max_concurrency: int | None = Field(default=None, ge=1, le=10_000)
    tolerated_failure_count: int | None = Field(default=None, ge=0, le=2**31 - 1)
    tolerated_failure_percentage: float | None = Field(default=None, ge=0, le=100)
    add_tags: Tags = ()
    remove_tags: Tags = ()


async def update_job(
    services: Services, *, caller: Caller, job_id: str, data: Mapping[str, Any]
) -> Job:
    """Change a live job and return it as it now stands; what is left out stays as it is.

    Args:
        services: What this process works with.
        caller: Who changes it.
        job_id: The job.
        data: ``UpdateJobInput`` with the contract's names, without ``id``.

    Raises:
        ForbiddenError: The caller may not manage jobs.
        InputError: Something in the input is wrong; every problem is listed.
        NotFoundError: There is no such job, or it is another tenant's.
        InvalidStateError: The job has ended or is being cancelled.
    """
    require(caller, Scope.MANAGE)
    update = _update_of(data)
    known = require_own_id(caller, job_id)
    await services.control.update(caller.tenant, known, update)
    return await job_after(services, caller=caller, job=known)


def _update_of(data: Mapping[str, Any]) -> JobUpdate:
    issues = unstorable(data, "input")
    try:
        changes = _Changes.model_validate(dict(data))
    except ValidationError as exc:
        raise InputError(*issues, *issues_of(exc, "input")) from exc
    both = [tag for tag in changes.add_tags if tag in changes.remove_tags]
    if both:
        issues.append(Issue(("input", "removeTags"), f"{both[0]!r} is in addTags as well"))
    if issues:
        raise InputError(*issues)
    return JobUpdate(**changes.model_dump())
