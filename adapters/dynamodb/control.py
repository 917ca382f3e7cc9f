"""What is done to jobs that were accepted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from boto3.dynamodb.conditions import Attr, ConditionBase

from adapters.dynamodb.acceptance import MAX_RACES, START_WITHIN_MS, due, take_live
from adapters.dynamodb.ending import end_if_intolerable, end_run, hide, tolerates
from adapters.dynamodb.input import Inputs, input_folder, input_key
from adapters.dynamodb.items import (
    LATE,
    META,
    Due,
    counters_key,
    due_key,
    erased_key,
    is_live,
    job_pk,
    jobs_index,
    late_key,
    live_item,
    meta_key,
    now_ms,
    tags_text,
    tenant_key,
    while_live,
)
from adapters.dynamodb.outcome import prefixed
from adapters.dynamodb.recount import recount
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import (
    IS_KNOWN,
    IS_NEW,
    Change,
    Check,
    Delete,
    ItemKey,
    Put,
    Update,
    Write,
)
from engine.blobs import BlobStore
from engine.errors import InvalidStateError, NotFoundError, UnavailableError
from engine.job import JobId, JobState, TaskKind, TaskState
from engine.jobs import FoundResult, JobUpdate, updated_spec
from engine.quotas import Quotas
from engine.runner import Launcher, Runner

LATE_MS: Final = 960_000
"""After which the last attempts at an erased job have ended: a Lambda runs for 15 minutes."""
_RENEWED = dict.fromkeys(
    "finished error message expires manifest report result result_rows result_bytes cleaned"
    " webhook_state webhook_tries webhook_tried webhook_status webhook_next reduce_total"
    " finish_total plan_retried map_retried reduce_retried finish_retried".split()
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DynamoControl:
    """Changes jobs.

    Attributes:
        table: Where they are.
        blobs: Where large parts of what was submitted are.
        launchers: What dispatches the tasks of each runner.
        retention_s: For how long jobs are kept that do not say so.
        quotas: What each tenant may have.
    """

    table: DynamoTable
    blobs: BlobStore
    launchers: Mapping[Runner, Launcher]
    retention_s: int
    quotas: Quotas

    def cancel(self, tenant: str, job: JobId, *, reason: str | None) -> None:
        """Stop a job; see ``JobControl``."""
        for _ in range(MAX_RACES):
            meta = self._require(tenant, job)
            if not is_live(meta):
                return
            if end_run(self.table, meta, JobState.CANCELLED, sets={"message": reason}) is None:
                stop(self.launchers, meta)
                return
        raise _busy(job)

    def update(self, tenant: str, job: JobId, update: JobUpdate) -> None:
        """Change a live job; see ``JobControl``."""
        inputs = Inputs(self.blobs)
        sets = {
            "window": update.max_concurrency,
            "tolerated_count": update.tolerated_failure_count,
            "tolerated_percentage": update.tolerated_failure_percentage,
        }
        given = {name: value for name, value in sets.items() if value is not None}
        for _ in range(MAX_RACES):
            meta = self._require(tenant, job)
            _require_state(meta, is_live(meta), "only a live job can be changed")
            stored = self.table.get(input_key(job)) or {}
            spec = updated_spec(inputs.spec_of(stored), update)
            revision = Attr("revision")
            is_same: ConditionBase = revision.eq(stored.get("revision", 0))
            if "revision" not in stored:
                is_same = revision.not_exists()
            noted = {**given, "tags": tags_text(spec["tags"]), "updated": now_ms()}
            change = Change(noted, {"version": 1})
            failed = self.table.transact(
                Update(input_key(job), Change(inputs.changed(stored, spec)), is_same),
                Update(meta_key(job), change, while_live(meta["run"])),
            )
            if failed is None:
                if given:
                    self._apply_limits(job)
                return
        raise _busy(job)

    def redrive(
        self,
        tenant: str,
        job: JobId,
        *,
        params: dict[str, Any] | None,
        idempotency_key: str | None,
    ) -> None:
        """Begin the next run; see ``JobControl``. Tasks are left as they are: see ``is_stale``."""
        for _ in range(MAX_RACES):
            meta = self._require(tenant, job)
            if idempotency_key is not None and meta.get("redrive_key") == idempotency_key:
                return
            may = not is_live(meta) and meta["state"] != JobState.SUCCEEDED
            _require_state(meta, may, "only a job that ended without success can be redriven")
            if "restored" in meta:
                message = f"job {job} is known by its result alone: submit it again"
                raise InvalidStateError(message, state=meta["state"])
            if "tidy" in meta:
                raise UnavailableError(f"job {job} is being tidied up; try again in a moment")
            if self._renew(meta, job, params, idempotency_key):
                self._launch_again(job)
                return
        raise _busy(job)

    def delete(self, tenant: str, job: JobId) -> None:
        """Make an ended job unknown to everybody; see ``JobControl``."""
        for _ in range(MAX_RACES):
            meta = self._require(tenant, job)
            if is_live(meta):
                state = meta["state"]
                raise InvalidStateError(f"job {job} is {state}; cancel it first", state=state)
            if hide(self.table, meta):
                return
        raise _busy(job)

    def erase(self, job: JobId) -> None:
        """Remove all data of a deleted job; see ``JobControl``.

        Attempts that were under way write once more before they notice. So the job is due again,
        and what has come until then goes with the last that tells of it.
        """
        found = self.table.get_many([meta_key(job), late_key(job)])
        meta, late = found.get(meta_key(job)), found.get(late_key(job))
        if meta is not None and "tenant" in meta:
            return
        self.blobs.delete(list(self.blobs.list(input_folder(job))))
        every = self.table.query(job_pk(job), attributes=("pk", "sk", "due"))
        self.table.delete_all(_keys_of_data(every))
        if meta is not None:
            self._erase_later(job, meta)
        elif late is not None and late["at"] <= now_ms():
            self.table.transact(
                Delete(late_key(job)), Delete(due_key(Due.LATE, late["at"], job), IS_KNOWN)
            )

    def restore(self, found: FoundResult) -> bool:
        """Put back an ended job; see ``JobStore``."""
        retention_s = found.spec.get("retentionSeconds") or self.retention_s
        expires, now = found.finished_ms + 1000 * retention_s, now_ms()
        if expires <= now:
            return False
        pk, sk = meta_key(found.id)
        state = JobState.PARTIALLY_SUCCEEDED if found.failed_items else JobState.SUCCEEDED
        meta: Item = {
            "pk": pk,
            "sk": sk,
            "gsi1pk": jobs_index(found.tenant),
            "gsi1sk": f"{1000 * found.created_ms:016d}#{found.id}",
            "tenant": found.tenant,
            "by": found.submitted_by,
            "state": state.value,
            "phase": "DONE",
            "version": 1,
            "run": found.run,
            "base": found.run + 1,
            "runner": found.spec.get("runner") or Runner.STEP_FUNCTIONS.value,
            "is_small": 0,
            "plan_total": 1,
            "created": found.created_ms,
            "started": found.started_ms,
            "finished": found.finished_ms,
            "updated": now,
            "expires": expires,
            "retention_ms": 1000 * retention_s,
            "items_succeeded": found.items,
            "items_failed": found.failed_items,
            "items_total": found.items + found.failed_items,
            "bytes_read": found.bytes_read,
            "bytes_total": found.bytes_read,
            "result_rows": found.rows,
            "result_bytes": found.size_bytes,
            "manifest": found.manifest,
            "restored": 1,
            "result": found.inline,
            "tags": tags_text(found.spec["tags"]),
        }
        given = Inputs(self.blobs).parts(found.id, found.spec)
        return (
            self.table.transact(
                Put(meta, IS_NEW),
                Check(erased_key(found.tenant, found.id), IS_NEW),
                *map(Put, given),
                due(Due.EXPIRY, expires, found.id),
            )
            is None
        )

    def _require(self, tenant: str, job: JobId) -> Item:
        meta = self.table.get(meta_key(job))
        if meta is None or meta.get("tenant") != tenant:
            raise NotFoundError(f"no job {job!r}")
        return meta

    def _apply_limits(self, job: JobId) -> None:
        """End a job of which too many items have failed by now, or let its runner know."""
        meta = self.table.get(meta_key(job))
        if meta is None or not is_live(meta):
            return
        if tolerates(meta) or not end_if_intolerable(self.table, meta, "fewer are tolerated now"):
            limit(self.launchers, meta)
        else:
            stop(self.launchers, meta)

    def _renew(
        self, meta: Item, job: JobId, params: dict[str, Any] | None, key: str | None
    ) -> bool:
        """Begin the next run; False when the job is not as *meta* says any more."""
        run, now = meta["run"] + 1, now_ms()
        renewed = {**meta, "run": run, "base": run if "cleaned" in meta else meta["base"]}
        tally = recount(self.table, job, renewed)
        is_planned = bool(tally.states[TaskKind.PLAN, TaskState.SUCCEEDED])
        sets: dict[str, Any] = {
            **_RENEWED,
            **tally.changes(),
            "state": JobState.QUEUED.value,
            "run": run,
            "base": renewed["base"],
            "redrive_key": key,
            "phase": (TaskKind.MAP if is_planned else TaskKind.PLAN).value,
            "start_due": now + START_WITHIN_MS,
            "updated": now,
        }
        if not is_planned and "is_planned" not in meta:
            sets |= {"map_total": None, "plan": None}
        writes: list[Write] = [
            Put(live_item(meta)),
            due(Due.START, sets["start_due"], job, run),
            take_live(
                tenant_key(meta["tenant"], "LIVE"),
                self.table.get(tenant_key(meta["tenant"], "LIVE")) or {},
                self.quotas,
            ),
            Delete(due_key(Due.EXPIRY, meta["expires"], job)),
            Delete(due_key(Due.REPORT, meta["finished"], job, meta["run"])),
        ]
        if "timeout_ms" in meta:
            sets["deadline"] = now + meta["timeout_ms"]
            writes.append(due(Due.DEADLINE, sets["deadline"], job, run))
        if params is not None:
            writes.append(self._with_params(job, params))
        is_same = Attr("version").eq(meta["version"]) & Attr("tenant").eq(meta["tenant"])
        # Nor has it been tidied up meanwhile, after which what was counted here is gone.
        cleaned = Attr("cleaned")
        is_same &= cleaned.exists() if "cleaned" in meta else cleaned.not_exists()
        condition = is_same & Attr("tidy").not_exists()
        change = Change(sets, {"version": 1})
        if self.table.transact(Update(meta_key(job), change, condition), *writes) is not None:
            return False
        pk, sk = counters_key(job)
        self.table.put({"pk": pk, "sk": sk, **prefixed(tally.counters)})
        return True

    def _with_params(self, job: JobId, params: dict[str, Any]) -> Write:
        inputs, stored = Inputs(self.blobs), self.table.get(input_key(job)) or {}
        spec = {**inputs.spec_of(stored), "params": params}
        return Update(input_key(job), Change(inputs.changed(stored, spec)))

    def _erase_later(self, job: JobId, meta: Item) -> None:
        """Forget a job of which nothing is left, and have a caretaker look at it once more."""
        (pk, sk), at_ms = late_key(job), now_ms() + LATE_MS
        self.table.transact(
            Delete(meta_key(job), IS_KNOWN & Attr("tenant").not_exists()),
            Delete(due_key(Due.EXPIRY, 0, job)),
            Delete(due_key(Due.ENDED, meta["finished"], job)),
            Delete(due_key(Due.REPORT, meta["finished"], job, meta["run"])),
            Put({"pk": pk, "sk": sk, "at": at_ms}),
            due(Due.LATE, at_ms, job),
        )

    def _launch_again(self, job: JobId) -> None:
        meta = self.table.get(meta_key(job))
        if meta is not None:
            launch(self.launchers, meta)


def launch(launchers: Mapping[Runner, Launcher], meta: Item) -> bool:
    """Have the present run of a job begun; what cannot be is logged, and comes up again.

    Returns:
        Whether it was.
    """
    job, run = JobId(meta["pk"].partition("#")[2]), int(meta["run"])
    launcher = launchers.get(Runner(meta["runner"]))
    if launcher is None:
        return False
    try:
        keeps_plan = run > 1 and meta["phase"] != TaskKind.PLAN
        if not (keeps_plan and launcher.resume(job, run)):
            launcher.start(job, run, is_small=bool(meta["is_small"]))
    except UnavailableError as exc:
        log.warning("job %s: its run cannot be begun now: %s", job, exc)
        return False
    return True


def limit(launchers: Mapping[Runner, Launcher], meta: Item) -> None:
    """Let whatever dispatches a run know its limits; what begins later reads them anyway."""
    job = JobId(meta["pk"].partition("#")[2])
    launcher = launchers.get(Runner(meta["runner"]))
    if launcher is None or not is_live(meta):
        return
    may_fail = bool(meta["tolerated_count"] or meta["tolerated_percentage"])
    try:
        launcher.limit(job, meta["run"], max_concurrency=meta.get("window"), may_fail=may_fail)
    except UnavailableError as exc:
        log.warning("job %s: its run cannot be limited now: %s", job, exc)


def stop(launchers: Mapping[Runner, Launcher], meta: Item) -> None:
    """Have no more tasks of a run dispatched that has ended; those that are come to nothing."""
    job = JobId(meta["pk"].partition("#")[2])
    launcher = launchers.get(Runner(meta["runner"]))
    if launcher is None:
        return
    try:
        launcher.stop(job, meta["run"])
    except UnavailableError as exc:
        log.warning("job %s: its run cannot be stopped now: %s", job, exc)


def _keys_of_data(items: Iterable[Item]) -> Iterator[ItemKey]:
    """Yield the keys of a job's items, and those of what somebody is to be told of it.

    Without those that say where it stands, and that it is to be erased once more.
    """
    for item in items:
        if item["sk"] not in (META, LATE):
            yield item["pk"], item["sk"]
        if "due" in item:
            yield due_key(Due.WEBHOOK, 0, "")[0], item["due"]


def _require_state(meta: Item, may: bool, expected: str) -> None:
    if not may:
        job, state = meta["pk"].partition("#")[2], meta["state"]
        raise InvalidStateError(f"job {job} is {state}: {expected}", state=state)


def _busy(job: JobId) -> UnavailableError:
    return UnavailableError(f"job {job}: others keep changing it; try again in a moment")
