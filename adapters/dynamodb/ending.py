"""The end of a run, in one step with all that it makes due; and that a job is forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from boto3.dynamodb.conditions import Attr

from adapters.dynamodb.items import (
    LIVE,
    META,
    Due,
    due_key,
    erased_key,
    error_text,
    job_pk,
    meta_key,
    now_ms,
    tenant_key,
    while_live,
)
from adapters.dynamodb.recount import recount
from adapters.dynamodb.table import TTL_ATTRIBUTE, DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import Change, Delete, Put, Update, Write
from engine.job import JobError, JobState
from engine.tolerance import intolerable, is_tolerated

REMEMBERED_S: Final = 604_800
HAS_RESULT: Final = (JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED)
_OVER: Final = {
    "phase": "DONE",
    "plan_running": 0,
    "map_running": 0,
    "reduce_running": 0,
    "finish_running": 0,
    "items_running": 0,
}


def end_run(
    table: DynamoTable,
    meta: Item,
    state: JobState,
    *,
    error: JobError | None = None,
    sets: Mapping[str, Any] | None = None,
    adds: Mapping[str, float] | None = None,
    also: Sequence[Write] = (),
) -> int | None:
    """End the present run of a job, if that is what *meta* says.

    Args:
        table: Where the job is.
        meta: Where it stands.
        state: What it ends as.
        error: Why, if it did not end well.
        sets: What else is noted with the job.
        adds: What is added to its counts.
        also: Writes of the same step.

    Returns:
        None when it has ended by this; else the position of what stands against it: 0 for the job
        itself, which has another run or has ended, and those of *also* from 1 on.
    """
    job, run, now = meta["pk"].partition("#")[2], int(meta["run"]), now_ms()
    has_result = state in HAS_RESULT
    noted: dict[str, Any] = {
        **_OVER,
        **(sets or {}),
        "state": state.value,
        "finished": now,
        "updated": now,
        "expires": now + int(meta["retention_ms"]),
        "tidy": 1 if state is JobState.SUCCEEDED else None,
        "report": None,
    }
    if error is not None:
        noted["error"] = error_text(error)
    counted = {**(adds or {}), "version": 1}
    writes: list[Write] = [
        Update(meta_key(job), Change(noted, counted), while_live(run)),
        *also,
        Delete((meta["pk"], LIVE)),
        Update(tenant_key(meta["tenant"], "LIVE"), Change(adds={"live": -1})),
        _due(Due.EXPIRY, noted["expires"], job),
    ]
    if state is JobState.SUCCEEDED:
        writes.append(_due(Due.ENDED, now, job))
    if not has_result:
        writes.append(_due(Due.REPORT, now, job, run))
    if "start_due" in meta:
        writes.append(Delete(due_key(Due.START, meta["start_due"], job, run)))
    if "deadline" in meta:
        writes.append(Delete(due_key(Due.DEADLINE, meta["deadline"], job, run)))
    if "webhook" in meta:
        pk, sk = due_key(Due.WEBHOOK, now, job, run)
        told: Item = {"pk": job_pk(job), "sk": f"WEBHOOK#{run}", "due": sk, "tries": 0}
        writes += [Put({"pk": pk, "sk": sk}), Put(told)]
    return table.transact(*writes)


def tolerates(meta: Item) -> bool:
    """Return whether no more items of a job have failed than may."""
    return is_tolerated(
        int(meta.get("items_failed", 0)),
        most=meta["tolerated_count"],
        percentage=meta["tolerated_percentage"],
        total=meta.get("items_total"),
    )


def end_if_intolerable(
    table: DynamoTable, meta: Item, last: str, *, task: str | None = None
) -> bool:
    """End a job of which more items failed than may, as *meta* says and its tasks confirm.

    An addition whose answer is lost is sent again, so the count of failed items may be too large.

    Args:
        table: Where the job is.
        meta: Where it stands.
        last: As for ``intolerable``.
        task: As for ``intolerable``.

    Returns:
        Whether more items failed than may.
    """
    failed = recount(table, meta["pk"].partition("#")[2], meta).fields["items_failed"]
    if tolerates({**meta, "items_failed": failed}):
        return False
    error = intolerable(failed, last=last, task=task)
    end_run(table, meta, JobState.FAILED, error=error, sets={"items_failed": failed})
    return True


def hide(table: DynamoTable, meta: Item) -> bool:
    """Make an ended job unknown to everybody; False when it is not as *meta* says.

    It stays due for erasing until all of it is gone.
    """
    job, tenant = meta["pk"].partition("#")[2], meta["tenant"]
    names = ("tenant", "gsi1pk", "gsi1sk", "tidy")
    writes: list[Write] = [
        Update(
            (meta["pk"], META),
            Change({**dict.fromkeys(names), "state_was": meta["state"]}, {"version": 1}),
            Attr("version").eq(meta["version"]) & Attr("tenant").eq(tenant),
        ),
        Put(
            {
                **_keyed(*erased_key(tenant, job)),
                TTL_ATTRIBUTE: now_ms() // 1000 + REMEMBERED_S,
            }
        ),
        _due(Due.EXPIRY, 0, job),
    ]
    if "expires" in meta:
        writes.append(Delete(due_key(Due.EXPIRY, meta["expires"], job)))
    if "idempotency_key" in meta:
        writes.append(Delete(tenant_key(tenant, f"KEY#{meta['idempotency_key']}")))
    return table.transact(*writes) is None


def _due(kind: Due, at_ms: int, job: str, run: int | None = None) -> Put:
    return Put(_keyed(*due_key(kind, at_ms, job, run)))


def _keyed(pk: str, sk: str) -> Item:
    return {"pk": pk, "sk": sk}
