"""The ledger of runs in DynamoDB, for thousands of attempts that end at once.

A step is one conditional write of the task's own item, then one that adds to the job's counts. What
dies in between leaves a count that is too small; ``open`` counts again at each barrier, and what
would be added after it is refused, since the phase is another one by then. Steps that end a run are
one transaction.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from boto3.dynamodb.conditions import Attr, ConditionBase

from adapters.dynamodb.barrier import open_phase
from adapters.dynamodb.beginning import DynamoBeginning
from adapters.dynamodb.ending import end_if_intolerable, end_run, tolerates
from adapters.dynamodb.input import Inputs
from adapters.dynamodb.items import (
    MAX_FAILURES,
    counters_key,
    error_text,
    failure_text,
    failures_prefix,
    is_live,
    is_stale,
    job_pk,
    log_text,
    meta_key,
    now_ms,
    task_key,
    tasks_prefix,
    while_live,
)
from adapters.dynamodb.outcome import committed, prefixed, read_piece
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import Change, Put, Update, Write
from engine.attempt import Attempt, Outcome, Piece
from engine.blobs import BlobStore
from engine.job import (
    ItemFailure,
    JobError,
    JobId,
    JobState,
    TaskId,
    TaskKind,
    TaskState,
    parse_task_id,
)
from engine.ledger import Claim, Verdict
from engine.run_ledger import Phase, Retry

MAX_BACKOFF_MS: Final = 60_000
MAX_INLINE_BYTES: Final = 128 * 1024
"""Of rows that are kept with the job, whose item has room for 400 KB."""
FAILURES_A_STEP: Final = 90


@dataclass(frozen=True, slots=True)
class _Held:
    """An attempt that holds its task, with both items as they were read."""

    claim: Claim
    meta: Item
    task: Item

    @property
    def kind(self) -> TaskKind:
        return parse_task_id(self.claim.task)[0]

    @property
    def known_items(self) -> int:
        return int(self.task.get("known_items", 0))

    def condition(self) -> ConditionBase:
        """Return what is so as long as nobody else has taken the task or ended the attempt."""
        number = self.claim.number
        return Attr("attempt").eq(number) & Attr("state").eq(TaskState.RUNNING.value)

    def freed(self) -> dict[str, float]:
        """Return what is added to the job's counts when the attempt ends."""
        return {f"{self.kind.lower()}_running": -1, "items_running": -self.known_items}


class DynamoRunLedger:
    """Implements ``engine.run_ledger.RunLedger``.

    Args:
        table: Where jobs are.
        blobs: Where large parts of what was submitted are.
    """

    def __init__(self, table: DynamoTable, blobs: BlobStore) -> None:
        self._table = table
        self._beginning = DynamoBeginning(table, Inputs(blobs))

    def begin(
        self, job: JobId, task: TaskId, *, worker: str, known_items: int = 0
    ) -> Attempt | None:
        """Take a task under the next attempt number; see ``RunLedger``."""
        return self._beginning.begin(job, task, worker=worker, known_items=known_items)

    def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        """Make an attempt's outcome the task's; see ``RunLedger``."""
        held = self._held(claim)
        if isinstance(held, Verdict):
            return held
        match held.kind:
            case TaskKind.PLAN:
                return self._commit_plan(held, outcome)
            case TaskKind.FINISH:
                return self._commit_finish(held, outcome)
            case _:
                return self._commit_task(held, outcome)

    def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Retry | None:
        """End an attempt; see ``RunLedger``. Waits 50 to 100 % of the backoff, at random."""
        meta, task = self._read(claim.job, claim.task)
        if meta is None or not is_live(meta) or task is None or is_stale(task, meta):
            return None
        if task["attempt"] != claim.number:
            return None
        if task["state"] != TaskState.RUNNING:
            return _told(task)
        return self._failed(_Held(claim, meta, task), error, log, location)

    def lost(self, job: JobId, task: TaskId, error: JobError) -> Retry | None:
        """End the present attempt of a task whose process died; see ``RunLedger``.

        A process that died before it took the task has used up a try, too: else one that cannot
        even start would be started for ever.
        """
        if self._unbegun(job, task) and self.begin(job, task, worker="") is None:
            return None
        _, held = self._read(job, task)
        if held is None:
            return None
        return self.fail(Claim(job, task, held["attempt"]), error)

    def is_wanted(self, job: JobId, task: TaskId) -> bool:
        """Return whether a task may be begun; see ``RunLedger``."""
        meta, held = self._read(job, task)
        if not is_live(meta) or meta is None:
            return False
        return held is None or is_stale(held, meta) or held["state"] == TaskState.PENDING

    def open(self, job: JobId, kind: TaskKind) -> Phase | None:
        """Close the phase before *kind* and open that; see ``RunLedger``."""
        return open_phase(self._table, job, kind)

    def pieces(self, job: JobId, kind: TaskKind) -> Iterator[Piece]:
        """Yield what committed tasks left, in task order; see ``RunLedger``."""
        meta = self._table.get(meta_key(job))
        if meta is None:
            return
        wanted = ("sk", "state", "run", "failed_items", "piece", "cuts")
        for item in self._table.query(job_pk(job), prefix=tasks_prefix(kind), attributes=wanted):
            if (
                item["state"] == TaskState.SUCCEEDED
                and "piece" in item
                and not is_stale(item, meta)
            ):
                yield read_piece(item)

    def end(self, job: JobId, run: int, error: JobError) -> None:
        """Fail a run for a reason outside of its tasks; see ``RunLedger``."""
        meta = self._table.get(meta_key(job))
        if meta is not None and is_live(meta) and meta["run"] == run:
            end_run(self._table, meta, JobState.FAILED, error=error)

    def is_live(self, job: JobId, run: int) -> bool:
        """Return whether a run is still to be worked on; see ``RunLedger``."""
        meta = self._table.get(meta_key(job))
        return meta is not None and is_live(meta) and bool(meta["run"] == run)

    def _held(self, claim: Claim) -> _Held | Verdict:
        meta, task = self._read(claim.job, claim.task)
        if task is None or task["attempt"] != claim.number:
            return Verdict.FENCED
        if task["state"] == TaskState.SUCCEEDED:
            return Verdict.REPEATED
        if meta is None or not is_live(meta) or is_stale(task, meta):
            return Verdict.FENCED
        if task["state"] != TaskState.RUNNING:
            return Verdict.FENCED
        return _Held(claim, meta, task)

    def _read(self, job: JobId, task: TaskId) -> tuple[Item | None, Item | None]:
        keys = (meta_key(job), task_key(job, task))
        found = self._table.get_many(keys)
        return found.get(keys[0]), found.get(keys[1])

    def _unbegun(self, job: JobId, task: TaskId) -> bool:
        meta, held = self._read(job, task)
        if held is None or meta is None:
            return True
        return is_stale(held, meta) or held["state"] == TaskState.PENDING

    def _commit_task(self, held: _Held, outcome: Outcome) -> Verdict:
        claim, kind = held.claim, held.kind
        listed = self._listed(held, outcome.failures)
        change = Change({**committed(outcome), "failures": len(listed) or None})
        now, later = listed[:FAILURES_A_STEP], listed[FAILURES_A_STEP:]
        if not self._write_task(held, change, now):
            answer = self._held(claim)
            return answer if isinstance(answer, Verdict) else Verdict.FENCED
        if later:
            self._table.put_all(later)
        adds = {**held.freed(), f"{kind.lower()}_succeeded": 1, "version": 1}
        if kind is TaskKind.MAP:
            adds |= {
                "items_succeeded": outcome.items,
                "items_failed": sum(failure.items for failure in outcome.failures),
                "bytes_read": outcome.bytes_read,
                "shuffle_bytes": outcome.piece.size_bytes if outcome.piece else 0,
                "failures": len(listed),
            }
        self._count(claim.job, outcome)
        meta = self._add(held, adds)
        if meta is not None and outcome.failures and not tolerates(meta):
            last = outcome.failures[0].error.message
            end_if_intolerable(self._table, meta, last, task=claim.task)
        return Verdict.ACCEPTED

    def _commit_plan(self, held: _Held, outcome: Outcome) -> Verdict:
        meta, job = held.meta, held.claim.job
        sets: dict[str, Any] = {
            "plan_running": 0,
            "plan_succeeded": 1,
            "batches": outcome.plan_batches,
            "map_total": outcome.plan_batches,
            "plan": outcome.piece.name if outcome.piece else None,
            "updated": now_ms(),
        }
        if not meta.get("is_planned"):
            sets |= {"reducers": outcome.reducers, "bytes_total": outcome.plan_bytes}
            if outcome.items:
                sets["items_total"] = outcome.items
        key = task_key(job, held.claim.task)
        failed = self._table.transact(
            Update(key, Change(committed(outcome)), held.condition()),
            Update(meta_key(job), Change(sets, {"version": 1}), while_live(meta["run"])),
        )
        return Verdict.ACCEPTED if failed is None else self._verdict(held)

    def _commit_finish(self, held: _Held, outcome: Outcome) -> Verdict:
        meta, job, result = held.meta, held.claim.job, outcome.result
        sets: dict[str, Any] = {}
        if result is not None:
            inline = result.inline
            fits = inline is not None and len(inline.encode()) <= MAX_INLINE_BYTES
            sets = {
                "result_rows": result.rows,
                "result_bytes": result.size_bytes,
                "manifest": result.manifest,
                "result": inline if fits else None,
            }
        is_whole = not meta.get("items_failed")
        failed = end_run(
            self._table,
            meta,
            JobState.SUCCEEDED if is_whole else JobState.PARTIALLY_SUCCEEDED,
            sets=sets,
            adds={"finish_succeeded": 1},
            also=[
                Update(task_key(job, held.claim.task), Change(committed(outcome)), held.condition())
            ],
        )
        if failed is not None:
            return self._verdict(held)
        self._count(job, outcome)
        return Verdict.ACCEPTED

    def _failed(
        self, held: _Held, error: JobError, log: Sequence[str], location: str
    ) -> Retry | None:
        """End an attempt that failed: the task is tried again, or has failed for good."""
        meta, task, kind = held.meta, held.task, held.kind
        most, tries = meta["max_attempts"], task.get("tries", 0) + 1
        blamed = replace(error, task_id=error.task_id or held.claim.task)
        sets: dict[str, Any] = {
            "error": error_text(blamed),
            "log": log_text(log),
            "tries": tries,
        }
        skips = kind is TaskKind.MAP and meta["bad_items"] == "SKIP"
        if error.retryable and tries < most:
            longest = min(meta["backoff_ms"] * 2 ** (tries - 1), MAX_BACKOFF_MS)
            pause_ms = int(longest * random.uniform(0.5, 1))  # noqa: S311 - spreads retries
            return self._again(held, {**sets, "pause_ms": pause_ms})
        if skips and tries < most:
            return self._again(held, {**sets, "tries": most - 1, "pause_ms": 0})  # it isolates
        sets |= {"state": TaskState.FAILED.value, "finished": now_ms()}
        if kind is not TaskKind.MAP:
            self._end_by_task(held, sets, blamed)
        else:
            self._batch_failed(held, sets, blamed, location or held.claim.task)
        return None

    def _again(self, held: _Held, sets: dict[str, Any]) -> Retry | None:
        sets |= {"state": TaskState.PENDING.value, "worker": None, "started": None}
        if not self._write_task(held, Change(sets)):
            return self._told_before(held.claim)
        adds = {**held.freed(), f"{held.kind.lower()}_retried": 1, "version": 1}
        self._add(held, adds)
        return Retry(sets["pause_ms"] / 1000)

    def _told_before(self, claim: Claim) -> Retry | None:
        """Return what an attempt was told that does not hold its task any more."""
        _, task = self._read(claim.job, claim.task)
        return None if task is None or task["attempt"] != claim.number else _told(task)

    def _end_by_task(self, held: _Held, sets: dict[str, Any], error: JobError) -> None:
        """End the run by a task of which there must be an outcome."""
        end_run(
            self._table,
            held.meta,
            JobState.FAILED,
            error=error,
            adds={f"{held.kind.lower()}_failed": 1},
            also=[
                Update(task_key(held.claim.job, held.claim.task), Change(sets), held.condition())
            ],
        )

    def _batch_failed(
        self, held: _Held, sets: dict[str, Any], error: JobError, location: str
    ) -> None:
        """Go on without a map task that failed for good, if the job tolerates that."""
        items = max(1, held.known_items)
        failure = ItemFailure(location=location, preview="", error=error, items=items)
        listed = self._listed(held, [failure])
        change = Change({**sets, "failed_items": items, "failures": len(listed)})
        if not self._write_task(held, change, listed):
            return
        adds = {
            **held.freed(),
            "map_failed": 1,
            "items_failed": items,
            "failures": len(listed),
            "version": 1,
        }
        meta = self._add(held, adds)
        if meta is None:
            return
        if not meta["tolerated_count"] and not meta["tolerated_percentage"]:
            end_run(self._table, meta, JobState.FAILED, error=error)
        elif not tolerates(meta):
            end_if_intolerable(self._table, meta, error.message, task=held.claim.task)

    def _write_task(self, held: _Held, change: Change, listed: Sequence[Item] = ()) -> bool:
        """Change a task that the attempt still holds, and list failed items in the same step."""
        key = task_key(held.claim.job, held.claim.task)
        if not listed:
            return self._table.update(key, change, condition=held.condition()) is not None
        writes: list[Write] = [Update(key, change, held.condition())]
        return self._table.transact(*writes, *map(Put, listed)) is None

    def _add(self, held: _Held, adds: dict[str, float]) -> Item | None:
        """Add to the job's counts; None where they have been counted anew, or the run is over."""
        condition = while_live(held.meta["run"]) & Attr("phase").eq(held.kind.value)
        change = Change({"updated": now_ms()}, adds)
        return self._table.update(meta_key(held.claim.job), change, condition=condition)

    def _count(self, job: JobId, outcome: Outcome) -> None:
        adds = prefixed(outcome.counters)
        if any(adds.values()):
            self._table.update(counters_key(job), Change(adds=adds))

    def _verdict(self, held: _Held) -> Verdict:
        """Return what became of an attempt that holds its task no more."""
        answer = self._held(held.claim)
        return answer if isinstance(answer, Verdict) else Verdict.FENCED

    def _listed(self, held: _Held, failures: Sequence[ItemFailure]) -> list[Item]:
        """Return the items by which failed items are listed, as long as there are few."""
        if not failures:
            return []
        room = MAX_FAILURES - held.meta.get("failures", 0)
        prefix = f"{failures_prefix(held.meta['run'])}{now_ms():013d}#{held.claim.task}#"
        return [
            {"pk": held.meta["pk"], "sk": f"{prefix}{at:05d}", "failure": failure_text(failure)}
            for at, failure in enumerate(failures[:room])
        ]


def _told(task: Item) -> Retry | None:
    """Return what the attempt was told that ended last."""
    is_again = task["state"] == TaskState.PENDING
    return Retry(task.get("pause_ms", 0) / 1000) if is_again else None
