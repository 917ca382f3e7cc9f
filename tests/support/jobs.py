"""Jobs and outcomes in short, for tests of the ledger."""

from __future__ import annotations

from typing import Any

from engine.attempt import Outcome, Piece, ResultSummary
from engine.batch import Batch
from engine.job import JobError, JobId, TaskId, TaskKind, new_job_id, parse_task_id
from engine.jobs import NewJob
from engine.ledger import Claim
from engine.plan import plan_inline
from engine.spec import parse_spec

TENANT = "acme"
BROKEN = JobError(code="USER_CODE", message="map raised ValueError", retryable=True)


def inline_job(
    *,
    batches: int = 2,
    map_only: bool = False,
    tenant: str = TENANT,
    supports_partial: bool = False,
    traceparent: str | None = None,
    **spec: Any,
) -> NewJob:
    """A job of *batches* map tasks with one item each."""
    parsed = parse_spec(
        {
            "program": "wordcount",
            "source": {"inline": [f"item {i}" for i in range(batches)]},
            "batching": {"maxItems": 1},
            **spec,
        }
    )
    return NewJob(
        id=new_job_id(),
        tenant=tenant,
        submitted_by="ada",
        spec=parsed,
        plan=plan_inline(parsed, is_map_only=map_only),
        is_async=False,
        is_map_only=map_only,
        supports_partial=supports_partial,
        traceparent=traceparent,
    )


def files_job(**spec: Any) -> NewJob:
    """A job whose batches a plan task finds."""
    parsed = parse_spec({"program": "wordcount", "source": {"files": {"uris": ["*.txt"]}}, **spec})
    return NewJob(
        id=new_job_id(),
        tenant=TENANT,
        submitted_by="ada",
        spec=parsed,
        plan=None,
        is_async=False,
        is_map_only=False,
    )


FOUND = (Batch(items=("a",)), Batch(items=("b",)))
"""What the plan task of ``files_job`` hands over before its outcome."""


def claim_of(job: JobId, task: str, number: int = 1) -> Claim:
    return Claim(job, TaskId(task), number)


def outcome_of(
    claim: Claim, *, items: int = 1, counters: dict[str, float] | None = None
) -> Outcome:
    """An outcome as a task of that kind would give it."""
    kind, _ = parse_task_id(claim.task)
    name = f"jobs/{claim.job}/{claim.task}-a{claim.number}"
    piece = Piece(name=name, rows=1, size_bytes=10, cuts=(0, 10))
    match kind:
        case TaskKind.PLAN:
            return Outcome(plan_batches=2, plan_bytes=20, reducers=1)
        case TaskKind.MAP:
            return Outcome(items=items, bytes_read=5, piece=piece, counters=counters or {})
        case TaskKind.REDUCE:
            return Outcome(piece=piece)
        case TaskKind.PARTIAL:
            return Outcome(partial='[{"key":"so far"}]')
        case TaskKind.FINISH:
            summary = ResultSummary(rows=1, size_bytes=9, inline='[{"key":"a"}]', manifest=name)
            return Outcome(result=summary)
