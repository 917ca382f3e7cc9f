"""Figures of a job counted from its tasks, which are right whatever became of those who counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.dynamodb.items import is_stale, job_pk, task_of, tasks_prefix
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from engine.job import TaskKind, TaskState
from engine.jsonvalue import decode

_COUNTED: Final = tuple(
    "sk state run items failed_items failures bytes piece_bytes counters known_items".split()
)


@dataclass
class Tally:
    """What the tasks of a job add up to.

    Attributes:
        states: How many tasks there are of each kind in each state; those that were never begun
            are not among them.
        fields: Of the job.
        counters: Sums over committed attempts.
        stale: How many tasks of each kind say nothing that counts in this run.
    """

    states: Counter[tuple[TaskKind, TaskState]] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    counters: dict[str, float] = field(default_factory=dict)
    stale: Counter[TaskKind] = field(default_factory=Counter)

    def ended(self, kind: TaskKind) -> int:
        """Return how many tasks of a kind have ended."""
        return self.states[kind, TaskState.SUCCEEDED] + self.states[kind, TaskState.FAILED]

    def has_more(self, kind: TaskKind) -> bool:
        """Return whether tasks of a kind are known that have yet to end."""
        states = TaskState.PENDING, TaskState.RUNNING
        return any(self.states[kind, state] for state in states) or self.stale[kind] > 0

    def changes(self) -> dict[str, Any]:
        """Return the job's fields as they should read."""
        names = ("items_succeeded", "items_failed", "items_running", "bytes_read")
        found: dict[str, Any] = {name: self.fields[name] for name in names}
        found["shuffle_bytes"] = self.fields["shuffle_bytes"]
        found["failures"] = self.fields["failures"]
        for kind in (TaskKind.PLAN, TaskKind.MAP, TaskKind.REDUCE, TaskKind.FINISH):
            for state in (TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED):
                found[f"{kind.lower()}_{state.lower()}"] = self.states[kind, state]
        return found


def recount(table: DynamoTable, job: str, meta: Item) -> Tally:
    """Count the tasks of a job's present run, as *meta* names it."""
    tally = Tally()
    for item in table.query(job_pk(job), prefix=tasks_prefix(), attributes=_COUNTED):
        if is_stale(item, meta):
            tally.stale[task_of(item)[0]] += 1
        else:
            _add(tally, item)
    return tally


def _add(tally: Tally, item: Item) -> None:
    kind, _ = task_of(item)
    state = TaskState(item["state"])
    tally.states[kind, state] += 1
    failed = int(item.get("failed_items", 0))
    if state is TaskState.RUNNING:
        tally.fields["items_running"] += int(item.get("known_items", 0))
    if state is TaskState.FAILED:
        tally.fields["items_failed"] += failed
        tally.fields["failures"] += int(item.get("failures", 0))
    if state is not TaskState.SUCCEEDED:
        return
    if kind is TaskKind.MAP:
        tally.fields["items_succeeded"] += int(item.get("items", 0))
        tally.fields["items_failed"] += failed
        tally.fields["failures"] += int(item.get("failures", 0))
        tally.fields["bytes_read"] += int(item.get("bytes", 0))
        tally.fields["shuffle_bytes"] += int(item.get("piece_bytes", 0))
    for name, value in decode(item.get("counters", "{}")).items():
        tally.counters[name] = tally.counters.get(name, 0) + value
