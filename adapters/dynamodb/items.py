"""The items of jobs and their tasks: how they are called, and what they say.

    pk            sk                          what
    JOB#<job>     META                        where the job stands; attributes are called as the
                                              fields of the hash that
                                              ``adapters/redis/lua/prelude.lua`` tells about
    JOB#<job>     LIVE                        that it has not ended, for lists of such jobs
    JOB#<job>     INPUT, ITEMS                what was submitted: see ``adapters/dynamodb/input.py``
    JOB#<job>     TASK#<KIND>#<index>         a task that was begun once: state, attempt, run,
                                              tries, worker, times, items, piece, error, log
    JOB#<job>     COUNTERS                    sums over committed attempts
    JOB#<job>     FAIL#<run>#<ms>#<task>#<n>  items that failed for good, the first of them
    JOB#<job>     WEBHOOK#<run>               when to tell that the run has ended, how often tried
    JOB#<job>     ERASED                      when what came of it too late is removed
    TENANT#<t>    KEY#<idempotency key>       job and digest of its input
    TENANT#<t>    LIVE                        how many jobs are live; when the submits that were
                                              taken will have come back
    TENANT#<t>    ERASED#<sha1 of the job>    that there was such a job
    APIKEY#<id>   KEY                         an API key
    DUE#<kind>    <ms>#<job>[#<run>]          what a caretaker has to look at

The index has jobs of a tenant under ``TENANT#<tenant>`` and those that are live under
``LIVE#<tenant>``, each ordered by when it was accepted; and API keys under ``APIKEYS``.

A redrive touches no task: each notes the run that it was begun in, and ``is_stale`` tells whether
what it says still counts. ``base`` of the job is the first run whose tasks count at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from hashlib import sha1
from typing import Final

from boto3.dynamodb.conditions import Attr, ConditionBase

from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import ItemKey
from engine.job import ItemFailure, JobError, JobId, JobState, TaskId, TaskKind, TaskState
from engine.job import parse_task_id as parse_task
from engine.jsonvalue import encode

META: Final = "META"
LIVE: Final = "LIVE"
LATE: Final = "ERASED"
LIVE_STATES: Final = (JobState.QUEUED.value, JobState.RUNNING.value)
MAX_FAILURES: Final = 10_000
MAX_MESSAGE_LENGTH: Final = 8_192
MAX_LOG_BYTES: Final = 128 * 1024
COUNTER_PREFIX: Final = "c."
"""Of what is added up, so that no counter is taken for a key."""


class Due(StrEnum):
    """Why a caretaker has to look at a job."""

    DEADLINE = "deadline"
    """It has run out of time."""
    START = "start"
    """Its run should have begun by now."""
    WEBHOOK = "webhook"
    """Somebody is to be told that a run has ended."""
    ENDED = "ended"
    """Its temporary data is to go."""
    REPORT = "report"
    """It is to be written how far a run came that has no result."""
    EXPIRY = "expiry"
    """It is to be erased."""
    LATE = "late"
    """It was erased, and what attempts have left since is to go."""


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def job_pk(job: str) -> str:
    """Return the partition of a job."""
    return f"JOB#{job}"


def meta_key(job: str) -> ItemKey:
    """Return the key of where a job stands."""
    return job_pk(job), META


def jobs_index(tenant: str) -> str:
    """Return the partition of the index that has a tenant's jobs."""
    return f"TENANT#{tenant}"


def live_index(tenant: str) -> str:
    """Return the partition of the index that has a tenant's jobs as long as they are live."""
    return f"LIVE#{tenant}"


def live_item(meta: Item) -> Item:
    """Return the item by which a job is in ``live_index``."""
    tenant, place = live_index(meta["tenant"]), meta["gsi1sk"]
    return {"pk": meta["pk"], "sk": LIVE, "gsi1pk": tenant, "gsi1sk": place}


def counters_key(job: str) -> ItemKey:
    """Return the key of a job's counters."""
    return job_pk(job), "COUNTERS"


def task_key(job: str, task: TaskId) -> ItemKey:
    """Return the key of a task."""
    kind, index = parse_task(task)
    return job_pk(job), f"{tasks_prefix(kind)}{index:09d}"


def tasks_prefix(kind: TaskKind | None = None) -> str:
    """Return how the keys of tasks of a kind begin; of any kind for None."""
    return "TASK#" if kind is None else f"TASK#{kind}#"


def task_of(item: Item) -> tuple[TaskKind, int]:
    """Return the kind and the index of a task's item."""
    _, kind, index = item["sk"].split("#")
    return TaskKind(kind), int(index)


def failures_prefix(run: int) -> str:
    """Return how the keys of a run's failed items begin."""
    return f"FAIL#{run:06d}#"


def late_key(job: str) -> ItemKey:
    """Return the key of when what came too late of an erased job is removed."""
    return job_pk(job), LATE


def tenant_key(tenant: str, name: str) -> ItemKey:
    """Return the key of something that a tenant has."""
    return f"TENANT#{tenant}", name


def erased_key(tenant: str, job: str) -> ItemKey:
    """Return the key of the mark that a tenant had a job which was erased."""
    mark = sha1(job.encode()).hexdigest()  # noqa: S324 - as Redis keeps it; hides nothing
    return tenant_key(tenant, f"ERASED#{mark}")


def due_key(kind: Due, at_ms: int, job: str, run: int | None = None) -> ItemKey:
    """Return the key of what is due at a time; of a run, where it concerns one."""
    return f"DUE#{kind}", f"{at_ms:013d}#{job}" + ("" if run is None else f"#{run}")


def job_of_due(item: Item) -> tuple[JobId, int]:
    """Return the job of what is due, and the run or 0."""
    _, job, *run = item["sk"].split("#")
    return JobId(job), int(run[0]) if run else 0


def is_live(meta: Item | None) -> bool:
    """Return whether the job is known and its run is still to be worked on."""
    return meta is not None and "tenant" in meta and meta["state"] in LIVE_STATES


def while_live(run: int) -> ConditionBase:
    """Return the condition that *run* is the present one and has not ended."""
    return Attr("run").eq(run) & Attr("state").is_in(list(LIVE_STATES)) & Attr("tenant").exists()


def is_stale(item: Item, meta: Item) -> bool:
    """Return whether what a task says is of an earlier run and does not count in this one.

    Map tasks that succeeded without failed items keep their output, as a plan does.
    """
    if item["run"] == meta["run"]:
        return False
    kind, _ = task_of(item)
    is_kept = kind in (TaskKind.PLAN, TaskKind.MAP) and item["run"] >= meta["base"]
    is_whole = item["state"] == TaskState.SUCCEEDED and not item.get("failed_items")
    return not (is_kept and is_whole)


def as_hash(item: Item) -> Mapping[bytes, bytes]:
    """Return an item in the form that ``job_fields`` reads."""
    return {
        name.encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in item.items()
    }


def error_text(error: JobError) -> str:
    """Return an error as it is kept with a job or a task."""
    fields = {
        "code": error.code,
        "message": error.message[:MAX_MESSAGE_LENGTH],
        "retryable": error.retryable,
        "task": error.task_id,
    }
    return encode(fields).decode()


def tags_text(tags: Iterable[str]) -> str | None:
    """Return tags as they are kept with where a job stands; None for none."""
    found = list(tags)
    return encode(found).decode() if found else None


def failure_text(failure: ItemFailure) -> str:
    """Return a failed item as it is kept."""
    message = failure.error.message[:MAX_MESSAGE_LENGTH]
    return encode(asdict(replace(failure, error=replace(failure.error, message=message)))).decode()


def log_text(lines: Sequence[str]) -> str:
    """Return what a program logged as it is kept: its last lines, as far as there is room."""
    kept = list(lines)
    while len(text := encode(kept)) > MAX_LOG_BYTES:
        kept = kept[len(kept) // 2 :]
    return text.decode()
