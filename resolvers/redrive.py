"""Running again what did not succeed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from engine.errors import InputError, Issue, SourceError, UnavailableError
from engine.job import Job, JobId
from engine.program import Program
from engine.spec import MAX_NAME_LENGTH, JobSpec, issues_of
from resolvers.access.authorize import require, require_own_id
from resolvers.access.caller import Caller, Scope
from resolvers.check import CheckedInput, unstorable
from resolvers.prepare import prepare
from resolvers.read import job_after
from resolvers.services import Services

_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 0.8, 0.8, None)


class _Wish(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    params: dict[str, Any] | None = None
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_LENGTH)


async def redrive_job(
    services: Services, *, caller: Caller, job_id: str, data: Mapping[str, Any]
) -> Job:
    """Begin a job's next run and return the job; the same key again returns it unchanged.

    Args:
        services: What this process works with.
        caller: Who wants it.
        job_id: The job.
        data: ``RedriveJobInput`` with the contract's names, without ``id``.

    Raises:
        ForbiddenError: The caller may not manage jobs.
        InputError: Something in the input is wrong; every problem is listed.
        NotFoundError: There is no such job, or it is another tenant's.
        InvalidStateError: The job has not ended, or there is nothing to run again.
        QuotaExceededError: The tenant has as many live jobs as it may have.
    """
    require(caller, Scope.MANAGE)
    wish = _wish_of(data)
    known = require_own_id(caller, job_id)
    job = await job_after(services, caller=caller, job=known)
    if wish.params is not None:
        await _check_params(services, caller, job, wish.params)
    await _insist(services, caller, known, wish)
    return await job_after(services, caller=caller, job=known)


async def _insist(services: Services, caller: Caller, job: JobId, wish: _Wish) -> None:
    """Begin the run; what has only just ended may first have to be tidied up.

    Raises:
        UnavailableError: It is still not to be had after three seconds.
    """
    # Without a key, the repetition of a step that has happened would be refused.
    key = wish.idempotency_key or uuid4().hex
    for pause_s in _PAUSES_S:
        try:
            await services.control.redrive(
                caller.tenant, job, params=wish.params, idempotency_key=key
            )
        except UnavailableError:
            if pause_s is None:
                raise
            await asyncio.sleep(pause_s)
        else:
            return


def _wish_of(data: Mapping[str, Any]) -> _Wish:
    issues = unstorable(data, "input")
    try:
        wish = _Wish.model_validate(dict(data))
    except ValidationError as exc:
        raise InputError(*issues, *issues_of(exc, "input")) from exc
    if issues:
        raise InputError(*issues)
    return wish


async def _check_params(
    services: Services, caller: Caller, job: Job, params: dict[str, Any]
) -> None:
    """Refuse what a submit of the same job with *params* would refuse.

    A query is bound to its source anew, for the types of its parameters belong to it.
    """
    spec = JobSpec.model_validate({**job.spec, "params": params})
    program = services.catalog.require(spec.program) if spec.program is not None else None
    if program is not None:
        program.parse_params(params, "input", "params")
    if isinstance(program, Program):
        return
    try:
        await prepare(services, caller=caller, checked=CheckedInput(spec, program))
    except SourceError as exc:
        message = f"the query cannot be checked with them: {exc.message}"
        raise InputError(Issue(("input", "params"), message)) from exc
