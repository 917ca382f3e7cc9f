"""Accepting a job, and waiting for a small one to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.errors import Issue, QuotaExceededError, UnauthenticatedError
from engine.job import Job, JobId, new_job_id
from engine.jobs import NewJob
from resolvers.access.authorize import require, shown_to
from resolvers.access.caller import Caller, Scope
from resolvers.access.held import HeldRequests
from resolvers.check import check_input
from resolvers.live.hub import StatusHub
from resolvers.plan import plan_of_inline
from resolvers.prepare import Prepared, prepare
from resolvers.read import job_after
from resolvers.services import Limits, Services
from resolvers.webhooks import webhook_issues

_WAIT_INTERVAL_MS: Final = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a submit leads to; ``created`` is False for a repeated idempotency key."""

    job: Job
    created: bool


async def submit_job(
    services: Services,
    *,
    hub: StatusHub,
    caller: Caller,
    data: Mapping[str, Any],
    wait_up_to_ms: int = 0,
    held: HeldRequests | None = None,
) -> Submitted:
    """Accept a job and return it, at once or when it has ended.

    Args:
        services: What this process works with.
        hub: Follows the job while waiting.
        caller: Who submits.
        data: The input with the contract's names, without ``waitUpToMs``.
        wait_up_to_ms: Return the job as it stands after this time; 0 returns it at once. So it is
            where the tenant holds as many requests open as it may: the job is accepted anyway.
        held: Holds the request open while it waits; None where its connection is counted and
            watched itself.

    Raises:
        ForbiddenError: The caller may not submit, or not read the job that is the source.
        InputError: Something in the input is wrong; every problem is listed.
        SourceError: A URI leads nowhere or where it must not.
        IdempotencyConflictError: The key was used with another input.
        QuotaExceededError: The tenant has as much as it may have, or submits too often.
        UnauthenticatedError: What the caller showed was over, or revoked, while they waited.
        UnavailableError: Something that is asked does not answer for now.
    """
    require(caller, Scope.SUBMIT)
    services.refusals.check(caller.tenant)
    limits = services.limits
    checked = await check_input(
        services.catalog,
        data,
        *_wait_issues(wait_up_to_ms, limits),
        *await webhook_issues(services, data, caller=caller),
        limits=limits,
    )
    with services.tracer.span("submitJob"):
        prepared = await prepare(services, caller=caller, checked=checked)
        new = _new_job(caller, prepared, traceparent=services.tracer.traceparent())
        with services.refusals.noting(caller.tenant):
            accepted = await services.jobs.accept(new)
    _log.debug("job %s of tenant %s", accepted.id, caller.tenant)
    if wait_up_to_ms:
        await _wait_for_end(hub, caller, accepted.id, wait_s=wait_up_to_ms / 1000, held=held)
    job = accepted.job
    if job is None or wait_up_to_ms:
        job = await job_after(services, caller=caller, job=accepted.id)
    return Submitted(job=shown_to(caller, job), created=accepted.created)


def _wait_issues(wait_up_to_ms: int, limits: Limits) -> list[Issue]:
    if 0 <= wait_up_to_ms <= limits.max_wait_ms:
        return []
    message = f"must be 0 to {limits.max_wait_ms}, is {wait_up_to_ms}"
    return [Issue(("input", "waitUpToMs"), message)]


def _new_job(caller: Caller, prepared: Prepared, *, traceparent: str | None) -> NewJob:
    return NewJob(
        id=new_job_id(),
        tenant=caller.tenant,
        submitted_by=caller.subject,
        spec=prepared.checked.spec,
        plan=plan_of_inline(prepared),
        is_async=prepared.is_async,
        is_map_only=prepared.is_map_only,
        sql=None if prepared.sql is None else prepared.sql.job,
        resolved_source=prepared.resolved_source,
        supports_partial=prepared.supports_partial,
        has_one_reducer=prepared.sql is not None and prepared.sql.has_one_reducer,
        traceparent=traceparent,
    )


async def _wait_for_end(
    hub: StatusHub, caller: Caller, job: JobId, *, wait_s: float, held: HeldRequests | None
) -> None:
    # Whoever submits may wait for the end, also without the right to read what others submitted.
    waiting = replace(caller, scopes=frozenset({Scope.READ}))
    is_over = False

    def end() -> None:
        nonlocal is_over
        is_over = True
        if not deadline.expired():
            deadline.reschedule(0)

    with ExitStack() as holding:
        try:
            async with asyncio.timeout(wait_s) as deadline:
                if held is not None:
                    holding.enter_context(held.hold(caller, end))
                states = hub.follow(waiting, job, min_interval_ms=_WAIT_INTERVAL_MS)
                async with aclosing(states):
                    async for _ in states:
                        pass
        except QuotaExceededError:
            _log.debug("job %s: tenant %s waits for too much already", job, caller.tenant)
        except TimeoutError:
            pass
    if is_over:
        raise UnauthenticatedError("the credential has expired or was revoked")
