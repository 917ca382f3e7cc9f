"""The one place that says what a caller may do, and what exists for them.

Every function of ``resolvers`` that a caller reaches asks here first, before it looks at any id:
who lacks the right learns nothing of what there is. Whatever is another tenant's is not there.
"""

from __future__ import annotations

from dataclasses import replace

from engine.errors import ForbiddenError, NotFoundError
from engine.job import Job, JobAction, JobId
from resolvers.access.caller import Caller, Scope
from resolvers.ids import no_such_job, require_job_id


def require(caller: Caller, scope: Scope) -> None:
    """See that the caller has a scope.

    Raises:
        ForbiddenError: They have not.
    """
    if not caller.has(scope):
        raise ForbiddenError(f"the scope {scope.value!r} is needed for this")


def require_no_viewer(caller: Caller) -> None:
    """See that the caller came with more than a viewer token, which cannot make others.

    Raises:
        ForbiddenError: They did not.
    """
    if caller.jobs is not None:
        raise ForbiddenError("a viewer token can only read its jobs")


def require_own_id(caller: Caller, text: str) -> JobId:
    """Return *text* as the id of a job that may exist for the caller.

    Raises:
        NotFoundError: No job that they see can have it.
    """
    job = require_job_id(text)
    if not caller.sees(job):
        raise NotFoundError(no_such_job(text))
    return job


def allowed_actions(caller: Caller, job: Job) -> tuple[JobAction, ...]:
    """Return what the caller may do to *job* now."""
    return job.allowed_actions if caller.has(Scope.MANAGE) else ()


def shown_to(caller: Caller, job: Job) -> Job:
    """Return *job* as the caller may see it who has just submitted or changed it.

    Its state comes with that right; its rows are for those who may read.
    """
    if caller.has(Scope.READ) or (job.status.result is None and job.status.partial is None):
        return job
    return replace(job, status=replace(job.status, result=None, partial=None))


def read_by(caller: Caller, job: Job) -> Job:
    """Return *job* as the caller may read it: where its webhook is, is no viewer's business."""
    if caller.jobs is None or not job.spec.get("webhook"):
        return job
    return replace(job, spec={**job.spec, "webhook": None}, webhook=None)
