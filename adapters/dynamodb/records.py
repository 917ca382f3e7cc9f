"""What became of a job's batches: its tasks from DynamoDB, the batches themselves from its plan."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from adapters.dynamodb.items import (
    failures_prefix,
    is_stale,
    job_pk,
    meta_key,
    task_key,
    task_of,
)
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.job_fields import read_failure
from adapters.status_fields import error_of
from engine.blobs import BlobStore
from engine.errors import NotFoundError
from engine.job import ItemFailure, JobId, TaskKind, TaskState, instant, task_id
from engine.listings import INCLUDED_BYTES, BatchRecord, RecordPage
from engine.plan_file import TaskReference, read_references

PAGE_TASKS: Final = 500
PAGE_BYTES: Final = 1024 * 1024
PAGE_FAILURES: Final = 200
_SLICES: Final = b'{"slices"'


class DynamoRecords:
    """Implements ``engine.listings.Records``.

    Args:
        table: Where jobs are.
        blobs: Where their plans are.
    """

    def __init__(self, table: DynamoTable, blobs: BlobStore) -> None:
        self._table = table
        self._blobs = blobs
        self._references: tuple[str, list[TaskReference]] = "", []

    async def batches(self, job: JobId, *, first: int) -> RecordPage:
        """Return batches from number *first* on; see ``Records``."""
        return await asyncio.to_thread(self._batches, job, first)

    async def failures(self, job: JobId, *, first: int) -> Sequence[ItemFailure]:
        """Return failed items from number *first* on; see ``Records``."""
        return await asyncio.to_thread(self._failures, job, first)

    def _failures(self, job: JobId, first: int) -> list[ItemFailure]:
        meta = self._table.get(meta_key(job)) or {"run": 1}
        prefix = failures_prefix(meta["run"])
        found = list(self._table.query(job_pk(job), prefix=prefix, limit=first + PAGE_FAILURES))
        return [read_failure(item["failure"]) for item in found[first:]]

    def _batches(self, job: JobId, first: int) -> RecordPage:
        meta = self._table.get(meta_key(job))
        if meta is None:
            return RecordPage((), None)
        references = self._plan(meta)
        total = max(len(references), meta.get("map_total", 0))
        page = _page(references, first)
        last = first + len(page) if page else min(total, first + PAGE_TASKS)
        data = b""
        if page:
            data = self._blobs.read(meta["plan"], start=page[0].start, end=page[-1].end)
        told = self._tasks(job, first, last)
        records: list[BatchRecord] = []
        for index in range(first, last):
            item = told.get(index)
            if item is not None and is_stale(item, meta):
                item = {"attempt": item["attempt"]}
            reference = references[index] if page else None
            text = b""
            if reference is not None:
                text = data[reference.start - page[0].start : reference.end - page[0].start]
            records.append(_record(index, item or {}, reference, text.rstrip()))
        return RecordPage(tuple(records), last if last < total else None)

    def _plan(self, meta: Item) -> list[TaskReference]:
        """Return the map tasks of a job's plan; none where it has no plan of batches."""
        name = meta.get("plan", "")
        if not name.endswith(".jsonl"):
            return []
        if self._references[0] != name:
            try:
                self._references = name, read_references(self._blobs, name)
            except NotFoundError:  # somebody has emptied the store
                return []
        return self._references[1]

    def _tasks(self, job: JobId, first: int, last: int) -> dict[int, Item]:
        keys = [task_key(job, task_id(TaskKind.MAP, index)) for index in range(first, last)]
        return {task_of(item)[1]: item for item in self._table.get_many(keys).values()}


def _page(references: Sequence[TaskReference], first: int) -> Sequence[TaskReference]:
    """Return as many references as are about a megabyte of batches together."""
    last = first
    while last < min(len(references), first + PAGE_TASKS):
        last += 1
        if references[last - 1].end - references[first].start >= PAGE_BYTES:
            break
    return references[first:last]


def _record(index: int, item: Item, reference: TaskReference | None, text: bytes) -> BatchRecord:
    state = TaskState(item.get("state", TaskState.PENDING))
    set_aside = item.get("failed_items", 0)
    items = item.get("items", 0)
    if state is TaskState.FAILED:
        items, set_aside = set_aside, 0
    elif state is not TaskState.SUCCEEDED:
        items = reference.items if reference else item.get("known_items", 0)
    is_long = len(text) > INCLUDED_BYTES and not text.startswith(_SLICES)
    error = item.get("error")
    return BatchRecord(
        task=task_id(TaskKind.MAP, index),
        state=state,
        batch=None if not text or (is_long and state is TaskState.SUCCEEDED) else text,
        items=items,
        failed_items=set_aside,
        attempts=item.get("attempt", 0),
        started_at=instant(item.get("started")),
        finished_at=instant(item.get("finished")),
        error=None if error is None else error_of(error.encode()),
    )
