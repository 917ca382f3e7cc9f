"""Which run of a job is live, in DynamoDB."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.dynamodb.acceptance import due
from adapters.dynamodb.items import Due, due_key, is_live, meta_key, now_ms, while_live
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.writes import Change, Delete, Update, Write
from engine.job import JobId


@dataclass(frozen=True, slots=True)
class DynamoLiveRuns:
    """Implements ``engine.live_runs.LiveRuns``.

    Attributes:
        table: Where jobs are.
    """

    table: DynamoTable

    def present(self, job: JobId) -> int | None:
        """Return the run of a job that is to be worked on, if there is one."""
        meta = self.table.get(meta_key(job))
        return int(meta["run"]) if meta is not None and is_live(meta) else None

    def look(self, job: JobId, run: int) -> None:
        """Have the next caretaker see to it that a run goes on, unless it is over by then."""
        meta, now = self.table.get(meta_key(job)), now_ms()
        if meta is None or not is_live(meta) or meta["run"] != run:
            return
        writes: list[Write] = [
            Update(meta_key(job), Change({"start_due": now}), while_live(run)),
            due(Due.START, now, job, run),
        ]
        if meta["start_due"] != now:
            writes.append(Delete(due_key(Due.START, meta["start_due"], job, run)))
        self.table.transact(*writes)
