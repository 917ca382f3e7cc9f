"""What a caretaker finds in DynamoDB: jobs out of time, runs that never began, what is to go.

Everything that is due has an item of its own, written in the step that made it due, so a pass costs
a query for each kind and no more.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Final, TypeGuard

from boto3.dynamodb.conditions import Attr

from adapters.dynamodb.acceptance import START_WITHIN_MS, due
from adapters.dynamodb.control import DynamoControl, launch, stop
from adapters.dynamodb.ending import end_run, hide
from adapters.dynamodb.input import Inputs, input_key
from adapters.dynamodb.items import (
    LIVE_STATES,
    Due,
    as_hash,
    due_key,
    is_live,
    job_of_due,
    meta_key,
    now_ms,
    while_live,
)
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import IS_KNOWN, Change, Delete, Update, Write
from adapters.job_fields import read_ended_run
from engine.blobs import BlobStore
from engine.job import OUT_OF_TIME, JobId, JobState
from engine.jsonvalue import encode_again
from engine.ledger import EndedJob, EndedRun
from engine.quotas import Quotas
from engine.runner import Launcher, Runner

SWEEP_LIMIT: Final = 500
SMALL_WITHIN_MS: Final = 330_000
"""After which a run that was begun as a small one goes on as any other: nobody tells of its end."""


class DynamoSweeper:
    """Implements ``engine.ledger.Sweeper``.

    Attempts that died are noticed by what dispatched them, which tells ``RunLedger.lost``; so a
    sweep ends jobs that ran out of time, and begins runs that have not begun for a minute, or were
    to go on in an execution that has failed since.

    Args:
        table: Where jobs are.
        blobs: Where large parts of what was submitted are.
        launchers: What dispatches the tasks of each runner.
    """

    def __init__(
        self,
        table: DynamoTable,
        blobs: BlobStore,
        *,
        launchers: Mapping[Runner, Launcher] | None = None,
    ) -> None:
        self._table = table
        self._inputs = Inputs(blobs)
        self._launchers = launchers or {}
        self._control = DynamoControl(table, blobs, self._launchers, 0, Quotas())

    async def sweep(self) -> int:
        """End jobs that ran out of time, begin runs that have not begun; see ``Sweeper``."""
        return await asyncio.to_thread(self._sweep)

    async def ended_jobs(self) -> list[EndedJob]:
        """Return ended jobs whose temporary data may still be there; see ``Sweeper``."""
        return await asyncio.to_thread(self._ended_jobs)

    async def unreported_runs(self) -> list[EndedRun]:
        """Return ended runs that nobody has written of yet; see ``Sweeper``."""
        return await asyncio.to_thread(self._unreported_runs)

    async def reported(self, run: EndedRun, manifest: str) -> bool:
        """Tick an ended run off; see ``Sweeper``."""
        return await asyncio.to_thread(self._reported, run, manifest)

    async def is_untidied(self, ended: EndedJob) -> bool:
        """Tell whether a job is still to be tidied up; see ``Sweeper``."""
        return await asyncio.to_thread(self._untidied, ended) is not None

    async def cleaned(self, ended: EndedJob) -> None:
        """Tick an ended job off; see ``Sweeper``.

        What its tasks said is left, and counts no more: a next run begins with a plan.
        """
        await asyncio.to_thread(self._cleaned, ended)

    async def expired_jobs(self) -> list[JobId]:
        """Hide jobs that are due, and return some that are still there; see ``Sweeper``."""
        return await asyncio.to_thread(self._expired_jobs)

    async def erase(self, job: JobId) -> None:
        """Remove all data of a hidden job; see ``Sweeper``."""
        await asyncio.to_thread(self._control.erase, job)

    def _sweep(self) -> int:
        count = 0
        for item, meta in self._due(Due.DEADLINE):
            _, run = job_of_due(item)
            if meta is not None and is_live(meta) and meta["run"] == run:
                if end_run(self._table, meta, JobState.TIMED_OUT, error=OUT_OF_TIME) is None:
                    stop(self._launchers, meta)
                    count += 1
            else:
                self._table.delete((item["pk"], item["sk"]))
        for item, meta in self._due(Due.START):
            count += self._begin_again(item, meta)
        return count

    def _begin_again(self, item: Item, meta: Item | None) -> bool:
        """Begin a run that has not begun, or that was to be short and is not over; tell if so.

        A redrive may have found an execution that was about to fail, and another process have begun
        a task in it: so whether the execution runs is asked once more.
        """
        job, run = job_of_due(item)
        key = item["pk"], item["sk"]
        waits = meta is not None and is_live(meta) and meta["run"] == run
        if meta is None or not waits or not (_is_queued(meta) or _may_stand_still(meta)):
            self._table.delete(key)
            return False
        at_ms = now_ms() + START_WITHIN_MS
        noting = Update(meta_key(job), Change({"start_due": at_ms}), while_live(run))
        later = due(Due.START, at_ms, job, run)
        if self._table.transact(Delete(key, Attr("pk").exists()), noting, later) is not None:
            return False  # another caretaker does so
        if _is_queued(meta):
            launch(self._launchers, meta)
        elif not meta["is_small"]:
            if launch(self._launchers, meta):
                self._table.delete((later.item["pk"], later.item["sk"]))
            return False
        elif meta.get("started", 0) + SMALL_WITHIN_MS < now_ms():
            launch(self._launchers, {**meta, "is_small": 0})
        else:
            return False
        return True

    def _ended_jobs(self) -> list[EndedJob]:
        found: list[EndedJob] = []
        for item, meta in self._due(Due.ENDED):
            if meta is None or "tidy" not in meta:
                self._table.delete((item["pk"], item["sk"]))
            else:
                manifest = meta.get("manifest") or meta.get("report")
                found.append(EndedJob(job_of_due(item)[0], meta["run"], manifest))
        return found

    def _unreported_runs(self) -> list[EndedRun]:
        found: list[EndedRun] = []
        for item, meta in self._due(Due.REPORT):
            job, run = job_of_due(item)
            given = self._table.get(input_key(job))
            is_past = meta is None or is_live(meta) or "tenant" not in meta or meta["run"] != run
            if meta is None or given is None or is_past:
                self._table.delete((item["pk"], item["sk"]))
                continue
            spec = encode_again(self._inputs.spec_of(given))
            found.append(read_ended_run(job, as_hash(meta), spec))
        return found

    def _reported(self, run: EndedRun, manifest: str) -> bool:
        meta = self._table.get(meta_key(run.job))
        if not _has_ended(meta, run.run):
            return False
        is_cancelled = meta["state"] == JobState.CANCELLED
        sets = {"report": manifest, "tidy": 1 if is_cancelled else None}
        is_same = Attr("run").eq(run.run) & ~Attr("state").is_in(list(LIVE_STATES))
        writes: list[Write] = [
            Update(meta_key(run.job), Change(sets), is_same & Attr("tenant").exists()),
            Delete(due_key(Due.REPORT, meta["finished"], run.job, run.run), IS_KNOWN),
        ]
        if is_cancelled:
            writes.append(due(Due.ENDED, meta["finished"], run.job))
        if self._table.transact(*writes) is None:
            return True
        meta = self._table.get(meta_key(run.job))  # somebody was faster, or the answer was lost
        return _has_ended(meta, run.run) and meta.get("report") == manifest

    def _untidied(self, ended: EndedJob) -> Item | None:
        """Return where a job stands that is still to be tidied up after a run."""
        meta = self._table.get(meta_key(ended.id))
        is_same = meta is not None and "tidy" in meta and meta["run"] == ended.run
        return meta if is_same else None

    def _cleaned(self, ended: EndedJob) -> None:
        meta = self._untidied(ended)
        if meta is None:
            return
        is_same = Attr("run").eq(ended.run) & Attr("tidy").exists()
        self._table.transact(
            Update(meta_key(ended.id), Change({"tidy": None, "cleaned": 1}), is_same),
            Delete(due_key(Due.ENDED, meta["finished"], ended.id)),
        )

    def _expired_jobs(self) -> list[JobId]:
        found: list[JobId] = []
        for item, meta in self._due(Due.EXPIRY):
            if meta is None:
                self._table.delete((item["pk"], item["sk"]))
            elif "tenant" not in meta or hide(self._table, meta):
                found.append(job_of_due(item)[0])
        found += [job_of_due(item)[0] for item, meta in self._due(Due.LATE) if meta is None]
        return found

    def _due(self, kind: Due) -> list[tuple[Item, Item | None]]:
        """Return what is due of a kind, with where each job stands.

        In any order, so that one that cannot be dealt with does not hold up the same others again.
        """
        pk, now = due_key(kind, now_ms() + 1, "")
        items = list(self._table.query(pk, below=now, limit=SWEEP_LIMIT))
        random.shuffle(items)
        metas = self._table.get_many(meta_key(job_of_due(item)[0]) for item in items)
        return [(item, metas.get(meta_key(job_of_due(item)[0]))) for item in items]


def _is_queued(meta: Item) -> bool:
    return bool(meta["state"] == JobState.QUEUED)


def _may_stand_still(meta: Item) -> bool:
    """Return whether a run that has begun may have nobody who hands its tasks out."""
    is_redriven = meta["run"] > 1 and meta["runner"] == Runner.STEP_FUNCTIONS
    return bool(meta["is_small"] or is_redriven)


def _has_ended(meta: Item | None, run: int) -> TypeGuard[Item]:
    """Return whether the job is known, and *run* is its last and has ended."""
    if meta is None or "tenant" not in meta:
        return False
    return not is_live(meta) and bool(meta["run"] == run)
