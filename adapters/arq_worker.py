"""arq's worker, woken at once.

As it comes, arq looks at its queue twice a second, starts a job in four round trips and exits when
Redis is away for three seconds. This subclass, no fork, blocks on the token that
``arq_dispatch.lua`` leaves beside a job, picks up due jobs with their payload in one script, and
waits out an absent Redis. Retries, results and leases are the ledger's, so arq's own bookkeeping of
them is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from arq.jobs import deserialize_job_raw
from arq.worker import Worker, func
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.redis.client import connect, reply, source_of
from engine.cancellation import cancel_all
from engine.errors import UnavailableError
from engine.jsonvalue import decode, encode

QUEUE_PREFIX: Final = "fanfold:queue:"
TASK_FUNCTION: Final = "run_task"
HIDDEN_MS: Final = 5_000
LOOK_EVERY_S: Final = 0.25
RETRY_AFTER_S: Final = 0.2
PICKUP_LIMIT: Final = 200

TaskFunction = Callable[[str, str, int], Awaitable[None]]

log = logging.getLogger(__name__)


class EventWorker(Worker):
    """Runs the tasks of one lane, several at once.

    Args:
        url: Redis.
        lane: ``process`` or ``loop``.
        slots: Tasks at once.
        run: Awaited for each dispatched attempt; takes job, task and attempt number. It is the
            ledger's claim, within, that removes the entry from the queue.
        hidden_ms: How long a picked-up entry is not due again, while it waits for that claim.
    """

    def __init__(
        self, url: str, *, lane: str, slots: int, run: TaskFunction, hidden_ms: int = HIDDEN_MS
    ) -> None:
        async def run_task(ctx: dict[Any, Any], job: str, task: str, number: int) -> None:
            await run(job, task, number)

        self._redis: Redis = connect(url)
        pool: Any = self._redis.connection_pool
        super().__init__(
            [func(run_task, name=TASK_FUNCTION)],
            queue_name=f"{QUEUE_PREFIX}{lane}",
            redis_pool=ArqRedis(pool, job_serializer=encode, job_deserializer=decode),
            handle_signals=False,
            max_jobs=slots,
            keep_result=0,
            job_serializer=encode,
            job_deserializer=decode,
        )
        self._hidden_ms = hidden_ms
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def main(self) -> None:
        """Pick up jobs whenever there is room, until cancelled."""
        pickup = self._redis.register_script(source_of("pickup"))
        wake_key = f"{self.queue_name}:wake"
        while True:
            await self._has_room.wait()
            try:
                room = min(self.max_jobs - self.job_counter, PICKUP_LIMIT)
                found: Any = await pickup(keys=[self.queue_name], args=[room, self._hidden_ms])
                self._start(found)
                if not found:
                    await reply(self._redis.blpop([wake_key], LOOK_EVERY_S))  # type: ignore[arg-type]
            except (RedisError, OSError) as exc:
                log.warning("queue %s: waiting for Redis: %s", self.queue_name, exc)
                await asyncio.sleep(RETRY_AFTER_S)

    async def drain(self) -> None:
        """Pick up nothing more and wait until what runs has ended; may be cancelled."""
        if self.main_task is not None:
            await cancel_all([self.main_task])
        while self.tasks:
            await asyncio.wait(self.tasks.values())

    async def stop(self) -> None:
        """Pick up nothing more, cancel what runs and wait until it has ended."""
        if self.main_task is not None:
            await cancel_all([self.main_task])
        await cancel_all(self.tasks.values())
        await self._redis.aclose(close_connection_pool=True)

    def _start(self, found: Sequence[tuple[bytes, bytes]]) -> None:
        for job_id, payload in found:
            name = job_id.decode()
            if name in self.tasks:
                continue
            self.job_counter += 1
            self.tasks[name] = task = self.loop.create_task(self._run(name, payload), name=name)
            task.add_done_callback(self._ended)
        if self.job_counter >= self.max_jobs:
            self._has_room.clear()

    async def _run(self, job_id: str, payload: bytes) -> None:
        try:
            work = self._work(payload)
        except Exception:
            log.exception("queue %s: entry %s is none of ours", self.queue_name, job_id)
            await self._forget(job_id)
            return
        try:
            await work
        except UnavailableError as exc:
            log.warning("entry %s will come again: %s", job_id, exc)
        except Exception:
            self.jobs_failed += 1
            log.exception("entry %s", job_id)
        else:
            self.jobs_complete += 1

    def _work(self, payload: bytes) -> Coroutine[Any, Any, Any]:
        name, args, kwargs, _, _ = deserialize_job_raw(payload, deserializer=self.job_deserializer)
        return self.functions[name].coroutine(self.ctx, *args, **kwargs)

    async def _forget(self, job_id: str) -> None:
        """Take an entry out of the queue that would only come again."""
        with suppress(RedisError, OSError):
            await reply(self._redis.zrem(self.queue_name, job_id))
            await reply(self._redis.delete(f"{job_key_prefix}{job_id}"))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self.tasks[task.get_name()]
        self.job_counter -= 1
        self._has_room.set()
