"""The queries: their resolvers, then the type that names them."""

from __future__ import annotations

import strawberry

from engine.errors import ForbiddenError as EngineForbiddenError
from engine.errors import InputError
from engine.errors import SourceError as EngineSourceError
from resolvers.plan import plan_job
from resolvers.programs import get_program, list_programs
from resolvers.read import get_job, list_jobs
from schema.context import Info
from schema.errors import ForbiddenError, SourceError, ValidationError
from schema.inputs import SubmitJobInput
from schema.job import Job, JobConnection, JobFilter
from schema.outcomes import JobPlan, PlanJobResult
from schema.program import Program
from schema.service import ServiceInfo
from schema.viewer import Viewer


async def _job(info: Info, id: strawberry.ID) -> Job | None:
    context = info.context
    job = await get_job(context.services, caller=context.caller, job_id=id)
    return None if job is None else Job.of(context.services, job)


async def _jobs(
    info: Info,
    first: int | None = 25,
    after: str | None = strawberry.UNSET,
    filter: JobFilter | None = strawberry.UNSET,
) -> JobConnection:
    context = info.context
    page = await list_jobs(
        context.services,
        caller=context.caller,
        first=25 if first is None else first,
        after=after or None,
        wanted=filter.to_engine() if filter else None,
    )
    return JobConnection.of(context.services, page)


def _programs(info: Info) -> list[Program]:
    programs = list_programs(info.context.services, caller=info.context.caller)
    return [Program.of(program) for program in programs]


def _program(info: Info, name: str) -> Program | None:
    program = get_program(info.context.services, caller=info.context.caller, name=name)
    return None if program is None else Program.of(program)


async def _plan_job(info: Info, input: SubmitJobInput) -> PlanJobResult:
    context = info.context
    try:
        plan = await plan_job(context.services, caller=context.caller, data=input.to_data())
    except InputError as exc:
        return ValidationError.of(exc)
    except EngineSourceError as exc:
        return SourceError.of(exc)
    except EngineForbiddenError as exc:
        return ForbiddenError.of(exc)
    return JobPlan.of(plan)


def _viewer(info: Info) -> Viewer:
    return Viewer.of(info.context.caller)


def _service(info: Info) -> ServiceInfo:
    return ServiceInfo.of(info.context.services.limits)


@strawberry.type
class Query:
    """GraphQL ``Query``."""

    job: Job | None = strawberry.field(
        resolver=_job,
        description="One job, or null when it does not exist or the caller may not see it.",
    )
    jobs: JobConnection = strawberry.field(
        resolver=_jobs, description="Newest first. first is capped at 200."
    )
    programs: list[Program] = strawberry.field(
        resolver=_programs, description="Programs the caller may run, by name."
    )
    program: Program | None = strawberry.field(resolver=_program)
    plan_job: PlanJobResult = strawberry.field(
        resolver=_plan_job, description="Check and price a job without storing or running it."
    )
    viewer: Viewer = strawberry.field(
        resolver=_viewer, description="Who is calling, and what they may use."
    )
    service: ServiceInfo = strawberry.field(
        resolver=_service,
        description="Limits and switches of this deployment, so that clients need not guess.",
    )
