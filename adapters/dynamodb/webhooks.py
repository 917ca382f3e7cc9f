"""Webhook deliveries in DynamoDB: an order by time, fed by the step that ends a run."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from boto3.dynamodb.conditions import Attr

from adapters.dynamodb.acceptance import due
from adapters.dynamodb.items import Due, due_key, job_of_due, job_pk, meta_key, now_ms
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import IS_KNOWN, Change, Delete, ItemKey, Update
from engine.job import JobId
from engine.webhook_delivery import WebhookState
from engine.webhooks import LOOKS_AT, PASSED_PAUSE_S, Delivery

LEASE_MS: Final = 15_000
"""More than a request may take: see ``adapters.https.webhooks.DEADLINE_S``."""

_READ_AT_ONCE: Final = 100

log = logging.getLogger(__name__)


class DynamoWebhooks:
    """Implements ``engine.webhooks.WebhookQueue``.

    Args:
        table: Where it is.
        key: Names the key that this process signs with; what was accepted under another is left to
            those who have that.
        lease_ms: After this time a delivery that was taken comes up again.
        looks_at: How many deliveries a claim looks at.
    """

    def __init__(
        self,
        table: DynamoTable,
        *,
        key: str = "",
        lease_ms: int = LEASE_MS,
        looks_at: int = LOOKS_AT,
    ) -> None:
        self._table = table
        self._key = key
        self._lease_ms = lease_ms
        self._looks_at = looks_at

    async def claim(
        self, limit: int, *, share: int | None = None, held: Mapping[str, int] | None = None
    ) -> list[Delivery]:
        """Take deliveries that are due; see ``WebhookQueue``."""
        return await asyncio.to_thread(
            self._claim, limit, limit if share is None else share, held or {}
        )

    async def end(
        self,
        delivery: Delivery,
        *,
        state: WebhookState | None = None,
        status_code: int | None = None,
    ) -> None:
        """Forget a delivery; see ``WebhookQueue``."""
        await asyncio.to_thread(self._end, delivery, state, status_code)

    async def put_back(
        self,
        delivery: Delivery,
        *,
        pause_s: float,
        is_tried: bool = True,
        status_code: int | None = None,
    ) -> None:
        """Let a delivery come up again; see ``WebhookQueue``."""
        await asyncio.to_thread(self._put_back, delivery, pause_s, is_tried, status_code)

    def _claim(self, limit: int, share: int, held: Mapping[str, int]) -> list[Delivery]:
        pk, now = due_key(Due.WEBHOOK, now_ms() + 1, "")
        items = list(self._table.query(pk, below=now, limit=self._looks_at))
        tenants = Counter(held)
        found: list[Delivery] = []
        passed: list[Item] = []
        others = 0
        for item, job, run, meta in self._with_metas(items):
            if len(found) == limit:
                break
            if "tenant" not in meta or "finished" not in meta or meta["run"] != run:
                self._forget(item["sk"], job, run)  # erased, or begun again
            elif meta.get("webhook_key", "") != self._key:
                others += self._move(item["sk"], job, run, self._lease_ms, tries=0) is not None
            elif tenants[meta["tenant"]] >= share:
                passed.append(item)
            else:
                noted = self._move(item["sk"], job, run, self._lease_ms, tries=1)
                if noted is not None:
                    tenants[meta["tenant"]] += 1
                    found.append(_delivery(job, meta, noted["tries"]))
        else:
            if len(items) == self._looks_at:
                for item in passed:
                    job, run = job_of_due(item)
                    self._move(item["sk"], job, run, int(1000 * PASSED_PAUSE_S), tries=0)
        if others:
            log.warning(
                "webhooks: %d left to others: this process signs with another key than the API",
                others,
            )
        return found

    def _with_metas(self, items: Sequence[Item]) -> Iterator[tuple[Item, JobId, int, Item]]:
        """Yield what is due with its job, reading jobs as far as they are asked for."""
        for start in range(0, len(items), _READ_AT_ONCE):
            named = [(item, *job_of_due(item)) for item in items[start : start + _READ_AT_ONCE]]
            metas = self._table.get_many(meta_key(job) for _, job, _ in named)
            for item, job, run in named:
                yield item, job, run, metas.get(meta_key(job), {})

    def _end(self, delivery: Delivery, state: WebhookState | None, status: int | None) -> None:
        noted = self._table.get(_told_key(delivery.job, delivery.run))
        if noted is None:
            return
        if state is not None:
            self._note(delivery, noted, status, {"webhook_state": state.value})
        self._forget(noted["due"], delivery.job, delivery.run)

    def _put_back(
        self, delivery: Delivery, pause_s: float, is_tried: bool, status: int | None
    ) -> None:
        job, run, pause_ms = delivery.job, delivery.run, int(1000 * pause_s)
        noted = self._table.get(_told_key(job, run))
        if noted is None:
            return
        if self._move(noted["due"], job, run, pause_ms, tries=0 if is_tried else -1) is None:
            return
        if is_tried:
            self._note(delivery, noted, status, {"webhook_next": now_ms() + pause_ms})

    def _move(self, place: str, job: JobId, run: int, pause_ms: int, *, tries: int) -> Item | None:
        """Let a delivery come up after a while; None when somebody else has moved it."""
        later = due(Due.WEBHOOK, now_ms() + pause_ms, job, run)
        failed = self._table.transact(
            Update(
                _told_key(job, run),
                Change({"due": later.item["sk"]}, {"tries": tries}),
                Attr("due").eq(place),
            ),
            *([] if later.item["sk"] == place else [Delete((later.item["pk"], place), IS_KNOWN)]),
            later,
        )
        return None if failed is not None else self._table.get(_told_key(job, run))

    def _forget(self, place: str, job: JobId, run: int) -> None:
        pk, _ = due_key(Due.WEBHOOK, 0, job)
        self._table.delete_all([(pk, place), _told_key(job, run)])

    def _note(
        self, delivery: Delivery, noted: Item, status: int | None, sets: dict[str, Any]
    ) -> None:
        """Note with the job what became of a try, unless it has begun its next run since."""
        noting = {
            "webhook_next": None,
            "webhook_status": status,
            "webhook_tried": now_ms(),
            "webhook_tries": noted["tries"],
            **sets,
        }
        is_same = Attr("run").eq(delivery.run) & Attr("finished").exists()
        key = meta_key(delivery.job)
        self._table.update(key, Change(noting), condition=is_same & Attr("tenant").exists())


def _told_key(job: str, run: int) -> ItemKey:
    return job_pk(job), f"WEBHOOK#{run}"


def _delivery(job: JobId, meta: Item, tries: int) -> Delivery:
    run, ended = meta["run"], meta["finished"]
    return Delivery(job, run, meta["tenant"], meta["webhook"], tries, ended)
