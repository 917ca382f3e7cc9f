"""The beginning of attempts: a task is taken, counted as running, and all that it needs is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from boto3.dynamodb.conditions import Attr, ConditionBase

from adapters.dynamodb.input import Inputs, input_key, items_key
from adapters.dynamodb.items import is_live, is_stale, meta_key, now_ms, task_key, while_live
from adapters.dynamodb.outcome import summary_of
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import IS_NEW, Change
from engine.attempt import Attempt
from engine.job import JobId, JobState, TaskId, TaskKind, TaskState, parse_task_id
from engine.ledger import Claim

TASKS_AT_ONCE: Final = 16
"""How many tasks are said to run at once; plans for SQL go by it."""
_RENEWED: Final = dict.fromkeys(
    "finished error items failed_items failures log bytes piece piece_bytes cuts counters".split()
)


@dataclass(frozen=True, slots=True)
class DynamoBeginning:
    """Begins attempts.

    Attributes:
        table: Where jobs are.
        inputs: Reads what was submitted.
    """

    table: DynamoTable
    inputs: Inputs

    def begin(
        self, job: JobId, task: TaskId, *, worker: str, known_items: int = 0
    ) -> Attempt | None:
        """Take a task under the next attempt number; see ``RunLedger``."""
        kind, _ = parse_task_id(task)
        keys = [meta_key(job), input_key(job), task_key(job, task)]
        if kind is TaskKind.PLAN:
            keys.append(items_key(job))
        while True:
            found = self.table.get_many(keys)
            meta, held = found.get(meta_key(job)), found.get(task_key(job, task))
            if meta is None or not is_live(meta) or meta["phase"] != kind.value:
                return None
            is_renewed = held is not None and is_stale(held, meta)
            if held is not None and not is_renewed and _is_over(held):
                return None
            taken = self._take(meta, held, task_key(job, task), worker, known_items, is_renewed)
            if taken is not None:
                break
        if not self._count_begun(meta, None if is_renewed else held, taken, kind):
            return None
        return self._attempt(Claim(job, task, taken["attempt"]), meta, taken, found)

    def _take(
        self,
        meta: Item,
        held: Item | None,
        key: tuple[str, str],
        worker: str,
        known_items: int,
        is_renewed: bool,
    ) -> Item | None:
        """Note the next attempt with its task; None when another one came first."""
        sets: dict[str, Any] = {
            "state": TaskState.RUNNING.value,
            "attempt": (held["attempt"] if held else 0) + 1,
            "run": meta["run"],
            "worker": worker or None,
            "started": now_ms(),
            "known_items": known_items,
            "pause_ms": None,
        }
        if is_renewed:
            sets |= {**_RENEWED, "tries": 0}
        condition: ConditionBase = IS_NEW
        if held is not None:
            condition = Attr("attempt").eq(held["attempt"]) & Attr("state").eq(held["state"])
        return self.table.update(key, Change(sets), condition=condition)

    def _count_begun(self, meta: Item, held: Item | None, taken: Item, kind: TaskKind) -> bool:
        """Count an attempt that has begun; return False when the run has ended meanwhile."""
        adds: dict[str, float] = {"version": 1, "items_running": taken["known_items"]}
        if held is not None and held["state"] == TaskState.RUNNING:  # its process died in silence
            adds["items_running"] -= held.get("known_items", 0)
            adds[f"{kind.lower()}_retried"] = 1
        else:
            adds[f"{kind.lower()}_running"] = 1
        key, sets = (meta["pk"], meta["sk"]), {"updated": now_ms()}
        if meta["state"] == JobState.QUEUED:
            first = {**sets, "state": JobState.RUNNING.value, "started": now_ms()}
            condition = while_live(meta["run"]) & Attr("state").eq(JobState.QUEUED.value)
            if self.table.update(key, Change(first, adds), condition=condition) is not None:
                return True
        return (
            self.table.update(key, Change(sets, adds), condition=while_live(meta["run"]))
            is not None
        )

    def _attempt(
        self, claim: Claim, meta: Item, task: Item, found: dict[tuple[str, str], Item]
    ) -> Attempt:
        given = found[input_key(claim.job)]
        kind, _ = parse_task_id(claim.task)
        isolates = meta["bad_items"] == "SKIP" and task.get("tries", 0) + 1 >= meta["max_attempts"]
        return Attempt(
            job=claim.job,
            task=claim.task,
            number=claim.number,
            spec=self.inputs.spec_of(given, found.get(items_key(claim.job))),
            reducers=meta.get("reducers", 0),
            timeout_s=meta.get("task_timeout_s"),
            job_summary=summary_of(meta, task) if kind is TaskKind.FINISH else {},
            sql=self.inputs.sql_of(given),
            resolved_source=given.get("resolved_source"),
            workers=TASKS_AT_ONCE,
            isolates=kind is TaskKind.MAP and isolates,
        )


def _is_over(task: Item) -> bool:
    return task["state"] in (TaskState.SUCCEEDED, TaskState.FAILED)
