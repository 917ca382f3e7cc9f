"""What a caretaker finds in DynamoDB: jobs out of time, runs that never began, what is to go.

Everything that is due has an item of its own, written in the step that made it due, so a pass costs
a query for each kind and no more.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Final

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
from adapters.dynamodb.writes import Change, Delete, Update, Write
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
    sweep ends jobs that ran out of time, and begins runs that have not begun for a minute.

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

    async def cleaned(self, job: JobId) -> None:
        """Tick an ended job off; see ``Sweeper``.

        What its tasks said is left, and counts no more: a next run begins with a plan.
        """
        await asyncio.to_thread(self._cleaned, job)

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
        """Begin a run that has not begun, or that was to be short and is not over; tell if so."""
        job, run = job_of_due(item)
        key = item["pk"], item["sk"]
        waits = meta is not None and is_live(meta) and meta["run"] == run
        if meta is None or not waits or not (_is_queued(meta) or meta["is_small"]):
            self._table.delete(key)
            return False
        at_ms = now_ms() + START_WITHIN_MS
        noting = Update(meta_key(job), Change({"start_due": at_ms}), while_live(run))
        later = due(Due.START, at_ms, job, run)
        if self._table.transact(Delete(key, Attr("pk").exists()), noting, later) is not None:
            return False  # another caretaker does so
        if _is_queued(meta):
            launch(self._launchers, meta)
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
                found.append(EndedJob(id=job_of_due(item)[0], manifest=manifest))
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
        if meta is None or "tenant" not in meta:
            return False
        if is_live(meta) or meta["run"] != run.run:
            return True
        is_cancelled = meta["state"] == JobState.CANCELLED
        sets = {"report": manifest, "tidy": 1 if is_cancelled else None}
        is_same = Attr("run").eq(run.run) & ~Attr("state").is_in(list(LIVE_STATES))
        writes: list[Write] = [
            Update(meta_key(run.job), Change(sets), is_same & Attr("tenant").exists()),
            Delete(due_key(Due.REPORT, meta["finished"], run.job, run.run)),
        ]
        if is_cancelled:
            writes.append(due(Due.ENDED, meta["finished"], run.job))
        if self._table.transact(*writes) is None:
            return True
        meta = self._table.get(meta_key(run.job))  # somebody was faster
        return meta is not None and "tenant" in meta

    def _cleaned(self, job: JobId) -> None:
        meta = self._table.get(meta_key(job))
        if meta is None or "tidy" not in meta:
            return
        self._table.transact(
            Update(meta_key(job), Change({"tidy": None, "cleaned": 1}), Attr("tidy").exists()),
            Delete(due_key(Due.ENDED, meta["finished"], job)),
        )

    def _expired_jobs(self) -> list[JobId]:
        found: list[JobId] = []
        for item, meta in self._due(Due.EXPIRY):
            if meta is None:
                self._table.delete((item["pk"], item["sk"]))
            elif "tenant" not in meta or hide(self._table, meta):
                found.append(job_of_due(item)[0])
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
