"""A house over DynamoDB, whose attempts a runner hands out that opens each phase when it can."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adapters.dynamodb.acceptance import due
from adapters.dynamodb.items import Due, due_key, late_key, meta_key, task_key
from adapters.dynamodb.jobs import DynamoJobs
from adapters.dynamodb.records import DynamoRecords
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.sweeper import DynamoSweeper
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.webhooks import DynamoWebhooks
from adapters.dynamodb.writes import IS_KNOWN, Change, Delete, Update
from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.blobs import BlobStore
from engine.job import JobError, JobId, TaskKind, parse_task_id, task_id
from engine.ledger import Claim, Verdict
from engine.plan import plan_inline
from engine.plan_file import PlanWriter
from engine.spec import JobSpec
from engine.webhooks import LOOKS_AT, WebhookQueue
from tests.support.house import House, Jobs
from tests.support.memory import MemoryBlobs

_NEXT = {
    TaskKind.PLAN: TaskKind.MAP,
    TaskKind.MAP: TaskKind.REDUCE,
    TaskKind.REDUCE: TaskKind.FINISH,
}


class DispatchedTasks(DynamoSweeper):
    """Implements ``Tasks`` over a ledger of runs."""

    def __init__(self, table: DynamoTable, blobs: BlobStore) -> None:
        super().__init__(table, blobs)
        self.runs = DynamoRunLedger(table, blobs)
        self._table, self._blobs = table, blobs
        self._known: dict[JobId, list[int]] = {}

    async def claim(self, claim: Claim, *, worker: str) -> Attempt | None:
        return await asyncio.to_thread(self._claim, claim, worker)

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        verdict = await asyncio.to_thread(self.runs.commit, claim, outcome)
        await asyncio.to_thread(self._open, claim.job)
        return verdict

    async def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Verdict:
        return await asyncio.to_thread(self._fail, claim, error, log, location)

    async def extend(self, claim: Claim, first: int, batches: Sequence[Batch]) -> Verdict:
        """Accept batches, of which the runner keeps a file."""
        return Verdict.ACCEPTED

    def _claim(self, claim: Claim, worker: str) -> Attempt | None:
        kind, index = parse_task_id(claim.task)
        known = self._plan(claim.job) if kind is TaskKind.MAP else []
        task = self._table.get(task_key(claim.job, claim.task)) or {"attempt": 0}
        if task["attempt"] + 1 != claim.number:
            return None
        items = known[index] if known else 1
        attempt = self.runs.begin(claim.job, claim.task, worker=worker, known_items=items)
        if attempt is None and kind is not TaskKind.PLAN:  # of a run that was redriven
            self._open(claim.job)
            attempt = self.runs.begin(claim.job, claim.task, worker=worker, known_items=items)
        if attempt is None or kind is not TaskKind.REDUCE:
            return attempt
        return replace(attempt, inputs=tuple(self.runs.pieces(claim.job, TaskKind.MAP)))

    def _plan(self, job: JobId) -> list[int]:
        """Plan inline items, as the first step of a run does; return how many each batch has."""
        meta = self._table.get(meta_key(job))
        if meta is None or "is_planned" not in meta:
            return []
        attempt = None
        if meta["phase"] == TaskKind.PLAN:
            attempt = self.runs.begin(job, task_id(TaskKind.PLAN, 0), worker="planner")
        if attempt is not None:
            claim = Claim(job, attempt.task, attempt.number)
            batches = plan_inline(JobSpec.model_validate(attempt.spec), is_map_only=True).batches
            with TemporaryDirectory() as folder, PlanWriter(Path(folder)) as writer:
                writer.add(batches)
                piece = writer.store(self._blobs, attempt)
            self.runs.commit(claim, Outcome(plan_batches=len(batches), piece=piece))
            self._known[job] = [batch.known_items for batch in batches]
            self._open(job)
        return self._known[job]

    def _fail(self, claim: Claim, error: JobError, log: Sequence[str], location: str) -> Verdict:
        before = self._table.get(meta_key(claim.job)) or {}
        self.runs.fail(claim, error, log=log, location=location)
        after = self._table.get(meta_key(claim.job)) or {}
        self._open(claim.job)
        return Verdict.FENCED if before == after else Verdict.ACCEPTED

    def _open(self, job: JobId) -> None:
        """Open the next phase if all tasks of the present one have ended."""
        meta = self._table.get(meta_key(job))
        while meta is not None and (following := _NEXT.get(TaskKind(_phase(meta)))) is not None:
            phase = self.runs.open(job, following)
            if phase is not None and following is TaskKind.REDUCE and not phase.tasks:
                phase = self.runs.open(job, TaskKind.FINISH)
            if phase is None or phase.kind.value == meta["phase"]:
                return
            meta = self._table.get(meta_key(job))


class DynamoHouse(House):
    """One over DynamoDB."""

    def __init__(self, table: DynamoTable) -> None:
        self.table = table
        self.blobs = MemoryBlobs()
        self.jobs = DynamoJobs(table, self.blobs)
        self.ledger = DispatchedTasks(table, self.blobs)
        self.dying = self.ledger
        self.records = DynamoRecords(table, self.blobs)

    def jobs_with(self, **settings: Any) -> Jobs:
        return DynamoJobs(self.table, self.blobs, **settings)

    def webhooks(
        self, *, lease_ms: int = 600_000, key: str = "", looks_at: int = LOOKS_AT
    ) -> WebhookQueue:
        return DynamoWebhooks(self.table, lease_ms=lease_ms, key=key, looks_at=looks_at)

    async def deliveries(self) -> int:
        return len(list(self.table.query(f"DUE#{Due.WEBHOOK}")))

    async def run_out_of_time(self, job: JobId) -> None:
        meta = self.table.get(meta_key(job))
        assert meta is not None
        self.table.put(due(Due.DEADLINE, 1, job, meta["run"]).item)
        await self.ledger.sweep()

    async def expire(self, job: JobId) -> None:
        meta = self.table.get(meta_key(job))
        assert meta is not None
        self.table.transact(
            Update(meta_key(job), Change({"expires": 1})),
            Delete(due_key(Due.EXPIRY, meta["expires"], job)),
            due(Due.EXPIRY, 1, job),
        )

    async def mentions(self, job: JobId) -> set[str]:
        every = await asyncio.to_thread(lambda: list(self.table.scan()))
        named = {(item["pk"], item["sk"]) for item in every if job in str(item)}
        late = {key for key in named if key == late_key(job) or key[0] == f"DUE#{Due.LATE}"}
        return {" ".join(key) for key in named - late}

    def end_last_attempts(self, job: JobId) -> None:
        """Let the time be over after which an erased job has no attempts any more."""
        late = self.table.get(late_key(job))
        assert late is not None
        failed = self.table.transact(
            Update(late_key(job), Change({"at": 1})),
            Delete(due_key(Due.LATE, late["at"], job), IS_KNOWN),
            due(Due.LATE, 1, job),
        )
        assert failed is None


def _phase(meta: dict[str, Any]) -> str:
    return str(TaskKind.FINISH.value if meta["phase"] == "DONE" else meta["phase"])
