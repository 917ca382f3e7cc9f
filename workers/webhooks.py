"""Tells webhooks that jobs have ended. Every worker runs this; the queue's leases keep them apart.

An answer of 2xx ends a delivery, and so does 410, by which a receiver wants no more of it. Anything
else is tried again, with growing pauses, for a day.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from engine.cancellation import cancel_all
from engine.errors import UnavailableError
from engine.jobs import JobStore
from engine.jsonvalue import encode
from engine.status_json import status_to_json
from engine.webhook_delivery import WebhookState
from engine.webhooks import (
    DELIVERY,
    GIVE_UP_AFTER_S,
    SIGNATURE,
    Delivery,
    WebhookQueue,
    WebhookSender,
    pause_after,
    signature,
)

LOOK_EVERY_S: Final = 0.5
AT_ONCE: Final = 128
AT_ONCE_OF_A_TENANT: Final = 48
AT_ONCE_TO_A_HOST: Final = 8
_BUSY_PAUSE_S: Final = 2.0
_GONE: Final = 410

log = logging.getLogger(__name__)


class Webhooks:
    """Makes the deliveries that are due.

    Args:
        queue: Where they are noted.
        jobs: Where the ended jobs are.
        sender: Sends the requests.
        secret_of: Returns what a tenant's webhooks are signed with.
    """

    def __init__(
        self,
        queue: WebhookQueue,
        *,
        jobs: JobStore,
        sender: WebhookSender,
        secret_of: Callable[[str], str],
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._sender = sender
        self._secret_of = secret_of
        self._under_way: set[asyncio.Task[None]] = set()
        self._hosts: Counter[str] = Counter()
        self._tenants: Counter[str] = Counter()

    async def run(self) -> None:
        """Look about twice a second until cancelled; what was under way comes up again."""
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
                try:
                    await self.look()
                except UnavailableError as exc:
                    log.warning("webhooks: %s", exc)
                except Exception:
                    log.exception("webhooks: one look failed")
        finally:
            await cancel_all([*self._under_way])

    async def look(self) -> None:
        """Begin the deliveries that are due, as many as there is room for."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0:
            return
        # Nobody shall wait for another tenant's slow receivers.
        claimed = await self._queue.claim(room, share=AT_ONCE_OF_A_TENANT, held=self._tenants)
        for delivery in claimed:
            host = urlsplit(delivery.url).netloc
            if self._hosts[host] >= AT_ONCE_TO_A_HOST:  # others shall not wait for a slow one
                await self._queue.put_back(delivery, pause_s=_BUSY_PAUSE_S, is_tried=False)
                continue
            self._hosts[host] += 1
            self._tenants[delivery.tenant] += 1
            task = asyncio.create_task(self._deliver(delivery, host))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def settled(self) -> None:
        """Wait until every delivery that was begun has ended, well or not."""
        await asyncio.gather(*self._under_way)

    async def _deliver(self, delivery: Delivery, host: str) -> None:
        try:
            await self._try(delivery)
        except UnavailableError as exc:  # of the store: the lease ends, and it comes up again
            log.warning("webhook %s: %s", delivery.id, exc)
        except Exception:
            log.exception("webhook %s: could not be delivered", delivery.id)
        finally:
            _leave(self._hosts, host)
            _leave(self._tenants, delivery.tenant)

    async def _try(self, delivery: Delivery) -> None:
        body = await self._body_of(delivery)
        if body is None:
            await self._queue.end(delivery)
            return
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "fanfold",
            DELIVERY: delivery.id,
            SIGNATURE: signature(self._secret_of(delivery.tenant), body, at_s=int(time.time())),
        }
        try:
            status = await self._sender.send(
                delivery.url, tenant=delivery.tenant, headers=headers, body=body
            )
        except UnavailableError as exc:
            await self._again(delivery, exc.message, status=None)
            return
        if status // 100 == 2 or status == _GONE:
            state = WebhookState.FAILED if status == _GONE else WebhookState.DELIVERED
            await self._queue.end(delivery, state=state, status_code=status)
            log.info("webhook %s: status %d, try %d", delivery.id, status, delivery.tries)
        else:
            await self._again(delivery, f"status {status}", status=status)

    async def _body_of(self, delivery: Delivery) -> bytes | None:
        """Return the terminal status; None when the job was erased, or begun again."""
        (status,) = await self._jobs.statuses(delivery.tenant, [delivery.job])
        if status is None or status.run != delivery.run or not status.state.is_terminal:
            return None
        return encode(status_to_json(status))

    async def _again(self, delivery: Delivery, reason: str, *, status: int | None) -> None:
        pause_s = pause_after(delivery.tries)
        if time.time() + pause_s > delivery.ended_ms / 1000 + GIVE_UP_AFTER_S:
            await self._queue.end(delivery, state=WebhookState.FAILED, status_code=status)
            log.error("webhook %s: %s, given up at try %d", delivery.id, reason, delivery.tries)
            return
        await self._queue.put_back(delivery, pause_s=pause_s, status_code=status)
        log.warning(
            "webhook %s: %s, try %d, next in %.0f s", delivery.id, reason, delivery.tries, pause_s
        )


def _leave(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
