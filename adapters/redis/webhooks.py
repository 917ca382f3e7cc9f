"""The queue of webhook deliveries in Redis: an order by time, fed by the script that ends a run."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Final

from redis.asyncio import Redis

from adapters.redis.client import LedgerScripts
from engine.job import JobId
from engine.webhook_delivery import WebhookState
from engine.webhooks import LOOKS_AT, PASSED_PAUSE_S, Delivery

LEASE_MS: Final = 15_000
"""More than a request may take: see ``adapters.https.webhooks.DEADLINE_S``."""

log = logging.getLogger(__name__)


class RedisWebhooks:
    """Implements ``engine.webhooks.WebhookQueue``.

    Args:
        redis: Where it is.
        key: Names the key that this process signs with; what was accepted under another is left to
            those who have that.
        lease_ms: After this time a delivery that was taken comes up again.
        looks_at: How many deliveries a claim looks at.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        key: str = "",
        lease_ms: int = LEASE_MS,
        looks_at: int = LOOKS_AT,
    ) -> None:
        self._scripts = LedgerScripts(redis)
        self._key = key
        self._lease_ms = lease_ms
        self._looks_at = looks_at

    async def claim(
        self, limit: int, *, share: int | None = None, held: Mapping[str, int] | None = None
    ) -> list[Delivery]:
        """Take deliveries that are due; see ``WebhookQueue``."""
        others, *found = await self._scripts.call(
            "webhooks",
            "claim",
            limit,
            self._lease_ms,
            self._key,
            limit if share is None else share,
            json.dumps(dict(held or {})),
            self._looks_at,
            int(1000 * PASSED_PAUSE_S),
        )
        if others:
            log.warning(
                "webhooks: %d left to others: this process signs with another key than the API",
                others,
            )
        return [
            Delivery(JobId(job.decode()), run, tenant.decode(), url.decode(), tries, ended_ms)
            for job, run, tenant, url, tries, ended_ms in found
        ]

    async def end(
        self,
        delivery: Delivery,
        *,
        state: WebhookState | None = None,
        status_code: int | None = None,
    ) -> None:
        """Forget a delivery; see ``WebhookQueue``."""
        await self._scripts.call(
            "webhooks", "end", delivery.job, delivery.run, state or "", status_code or ""
        )

    async def put_back(
        self,
        delivery: Delivery,
        *,
        pause_s: float,
        is_tried: bool = True,
        status_code: int | None = None,
    ) -> None:
        """Let a delivery come up again; see ``WebhookQueue``."""
        await self._scripts.call(
            "webhooks",
            "back",
            delivery.job,
            delivery.run,
            int(1000 * pause_s),
            int(is_tried),
            status_code or "",
        )
