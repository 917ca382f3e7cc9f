"""A job, and pages of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from engine import job as engine_job
from engine import jobs as engine_jobs
from resolvers.access.authorize import allowed_actions, require
from resolvers.access.caller import Scope
from resolvers.pages import Page
from resolvers.read import list_failures, list_tasks, read_counters
from resolvers.results import read_report
from resolvers.services import Services
from schema.context import Info
from schema.enums import JobAction, JobState
from schema.failure import FailureConnection
from schema.page_info import PageInfo
from schema.program import Program
from schema.result import JobResult, RunReport
from schema.scalars import JSON
from schema.status import JobStatus
from schema.task import TaskConnection, TaskFilter
from schema.webhook import WebhookDelivery


@strawberry.type
class Counter:
    """GraphQL ``Counter``."""

    name: str
    value: float


async def _counters(info: Info, root: strawberry.Parent[Job]) -> list[Counter]:
    require(info.context.caller, Scope.READ)
    counters = await read_counters(info.context.services, job=root.stored)
    return [Counter(name=name, value=value) for name, value in counters.items()]


async def _failures(
    info: Info,
    root: strawberry.Parent[Job],
    first: int | None = 50,
    after: str | None = strawberry.UNSET,
) -> FailureConnection:
    require(info.context.caller, Scope.READ)
    page = await list_failures(
        info.context.services,
        job=root.stored,
        first=50 if first is None else first,
        after=after or None,
    )
    return FailureConnection.of(page)


def _result(info: Info, root: strawberry.Parent[Job]) -> JobResult | None:
    require(info.context.caller, Scope.READ)
    return JobResult.of(info.context.services, root.stored)


async def _report(info: Info, root: strawberry.Parent[Job]) -> RunReport | None:
    require(info.context.caller, Scope.READ)
    reader = await read_report(info.context.services, job=root.stored)
    return None if reader is None else await RunReport.of(reader, info.context.base_url)


def _allowed_actions(info: Info, root: strawberry.Parent[Job]) -> list[JobAction]:
    return list(allowed_actions(info.context.caller, root.stored))


@strawberry.type(description="One job across all its runs: the first, and each redrive.")
class Job:
    """GraphQL ``Job``; ``counters``, ``tasks``, ``failures``, parts of ``result`` read more."""

    id: strawberry.ID
    name: str | None
    program: Program | None = strawberry.field(description="Null for a job given as SQL.")
    spec: JSON = strawberry.field(
        description="The input as accepted, with every default filled in."
    )
    tags: list[str]
    submitted_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = strawberry.field(
        description="When the job, with its results, is erased."
    )
    run: int = strawberry.field(description="1 for the first run, one more for each redrive.")
    status: JobStatus
    result: JobResult | None = strawberry.field(
        resolver=_result, description="Null until the job has a result."
    )
    report: RunReport | None = strawberry.field(
        resolver=_report,
        description=(
            "How far the last run came, if it ended without a result; null until that is written."
        ),
    )
    webhook: WebhookDelivery | None = strawberry.field(
        description="Null for a job without one, and for viewers."
    )
    allowed_actions: list[JobAction] = strawberry.field(
        resolver=_allowed_actions, description="What the caller may do to this job now."
    )
    counters: list[Counter] = strawberry.field(
        resolver=_counters,
        description="Built-in and user counters, summed over committed attempts only.",
    )
    failures: FailureConnection = strawberry.field(
        resolver=_failures,
        description="Items that failed for good, with where they were and why.",
    )
    stored: strawberry.Private[engine_job.Job]

    @classmethod
    def of(cls, services: Services, job: engine_job.Job) -> Self:
        """Translate the engine's job."""
        program = services.catalog.get(job.spec["program"] or "")
        return cls(
            id=strawberry.ID(job.id),
            name=job.spec["name"],
            program=None if program is None else Program.of(program),
            spec=JSON(job.spec),
            tags=job.spec["tags"],
            submitted_by=job.submitted_by,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            expires_at=job.expires_at,
            run=job.status.run,
            status=JobStatus.of(job.status),
            webhook=None if job.webhook is None else WebhookDelivery.of(job.webhook),
            stored=job,
        )

    @strawberry.field
    async def tasks(
        self,
        info: Info,
        first: int | None = 50,
        after: str | None = strawberry.UNSET,
        filter: TaskFilter | None = strawberry.UNSET,
    ) -> TaskConnection:
        """Read a page of tasks."""
        require(info.context.caller, Scope.READ)
        page = await list_tasks(
            info.context.services,
            job=self.stored,
            first=50 if first is None else first,
            after=after or None,
            wanted=filter.to_engine() if filter else None,
        )
        return TaskConnection.of(page)


@strawberry.type
class JobEdge:
    """GraphQL ``JobEdge``."""

    cursor: str
    node: Job


@strawberry.type
class JobConnection:
    """GraphQL ``JobConnection``."""

    edges: list[JobEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, services: Services, page: Page[engine_job.Job]) -> Self:
        """Translate a page of jobs."""
        return cls(
            edges=[
                JobEdge(cursor=edge.cursor, node=Job.of(services, edge.node)) for edge in page.edges
            ],
            page_info=PageInfo.of(page),
        )


@strawberry.input
class JobFilter:
    """GraphQL ``JobFilter``."""

    states: list[JobState] | None = strawberry.UNSET
    program: str | None = strawberry.UNSET
    tags: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Jobs that carry all of these."
    )
    created_after: datetime | None = strawberry.UNSET
    created_before: datetime | None = strawberry.UNSET

    def to_engine(self) -> engine_jobs.JobFilter:
        """Translate to the engine's filter; null means left out."""
        return engine_jobs.JobFilter(
            states=None if not isinstance(self.states, list) else frozenset(self.states),
            program=self.program or None,
            tags=frozenset(self.tags or ()),
            created_after=self.created_after or None,
            created_before=self.created_before or None,
        )
