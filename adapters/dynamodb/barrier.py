"""The barrier between two phases: figures are counted anew, and the next phase is opened."""

from __future__ import annotations

from typing import Final

from boto3.dynamodb.conditions import Attr

from adapters.dynamodb.ending import end_run, tolerates
from adapters.dynamodb.items import (
    counters_key,
    failures_prefix,
    is_live,
    meta_key,
    now_ms,
    while_live,
)
from adapters.dynamodb.outcome import prefixed
from adapters.dynamodb.recount import recount
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import Change
from engine.job import JobId, JobState, TaskKind
from engine.jsonvalue import decode
from engine.run_ledger import Phase
from engine.tolerance import intolerable

_ORDER: Final = (TaskKind.PLAN, TaskKind.MAP, TaskKind.REDUCE, TaskKind.FINISH)


def open_phase(table: DynamoTable, job: JobId, kind: TaskKind) -> Phase | None:
    """Close the phase before *kind* and open that; see ``RunLedger.open``."""
    meta = table.get(meta_key(job))
    if meta is None or not is_live(meta):
        return None
    present = TaskKind(meta["phase"])
    if _ORDER.index(present) >= _ORDER.index(kind):
        return _phase(meta, kind)
    if kind is not _following(meta, present) and kind is not TaskKind.REDUCE:
        return _phase(meta, present)
    tally = recount(table, job, meta)
    total = meta[f"{present.lower()}_total"]
    # How many there are is not known beforehand where the runner lists the source.
    if tally.ended(present) < total or (not total and tally.has_more(present)):
        return _phase(meta, present)
    if kind is TaskKind.REDUCE and not meta.get("reducers"):
        return Phase(kind, 0)
    counted = {**meta, **tally.changes()}
    if present is TaskKind.MAP:
        known = tally.fields["items_succeeded"] + tally.fields["items_failed"]
        counted.setdefault("items_total", known)
        counted["map_total"] = max(counted["map_total"], tally.ended(TaskKind.MAP))
        if not tolerates(counted):
            error = intolerable(tally.fields["items_failed"], last=_last_failure(table, meta))
            end_run(table, meta, JobState.FAILED, error=error, sets=tally.changes())
            return None
    sets = {
        **tally.changes(),
        "items_total": counted.get("items_total"),
        "map_total": counted["map_total"],
        "phase": kind.value,
        f"{kind.lower()}_total": _tasks(counted, kind),
        "updated": now_ms(),
    }
    condition = while_live(meta["run"]) & Attr("phase").eq(meta["phase"])
    opened = table.update(meta_key(job), Change(sets, {"version": 1}), condition=condition)
    if opened is None:  # somebody else did so, or ended the run
        return open_phase(table, job, kind)
    pk, sk = counters_key(job)
    table.put({"pk": pk, "sk": sk, **prefixed(tally.counters)})
    return _phase(opened, kind)


def _following(meta: Item, present: TaskKind) -> TaskKind:
    """Return the phase after *present*, which none is opened before."""
    if present is TaskKind.MAP and not meta.get("reducers"):
        return TaskKind.FINISH
    return _ORDER[_ORDER.index(present) + 1]


def _phase(meta: Item, kind: TaskKind) -> Phase:
    total = meta.get(f"{kind.lower()}_total", 0)
    may_fail = bool(meta["tolerated_count"] or meta["tolerated_percentage"])
    return Phase(kind, total, meta.get("window"), may_fail=may_fail and kind is TaskKind.MAP)


def _tasks(meta: Item, kind: TaskKind) -> int:
    """Return how many tasks a phase has that is about to be opened."""
    if kind is TaskKind.FINISH:
        return 1
    if kind is TaskKind.MAP:
        return int(meta["batches"])
    partitions, bytes_each = int(meta["reducers"]), meta.get("reduce_bytes")
    if not bytes_each:
        return partitions
    wanted = -(-int(meta.get("shuffle_bytes", 0)) // int(bytes_each))
    return max(1, min(partitions, wanted))


def _last_failure(table: DynamoTable, meta: Item) -> str:
    prefix = failures_prefix(meta["run"])
    found = table.query(meta["pk"], prefix=prefix, newest_first=True, limit=1)
    for item in found:
        return str(decode(item["failure"])["error"]["message"])
    return "unknown"
