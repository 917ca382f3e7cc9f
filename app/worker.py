"""A worker process: the ledger, two lanes of arq's queues, two task processes, one caretaker."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from typing import NamedTuple

import uvloop
from redis.asyncio import Redis

from adapters.arq_worker import EventWorker
from adapters.https.webhooks import HttpxWebhooks
from adapters.redis.client import connect
from adapters.redis.jobs import RedisJobs
from adapters.redis.layout import require_layout
from adapters.redis.ledger import RedisLedger
from adapters.redis.records import RedisRecords
from adapters.redis.traces import RedisTraces
from adapters.redis.webhooks import RedisWebhooks
from app.garbage import collect_garbage_seldom
from app.processes import program_process, remove_leftover_scratch, scratch_of, sql_process
from app.runtime import blobs_of, log_to_stderr, signer_of, sources_of
from app.settings import Settings
from app.stopping import Stop
from app.telemetry.metrics import WorkerMetrics
from app.telemetry.traces import tracing
from engine.attempt import Attempt
from engine.cancellation import cancel_all
from engine.catalog import load_catalog
from engine.errors import ConfigError, UnavailableError
from engine.job import JobId, TaskId
from engine.ledger import Claim
from engine.log_context import log_fields
from engine.program import Program
from engine.tracer import UNTRACED, Tracer
from engine.webhooks import key_name, webhook_secret
from workers.caretaker import take_care
from workers.lister import Lister
from workers.metered import MeteredLedger
from workers.task_process import TaskProcess
from workers.webhooks import Webhooks
from workers.worker import Worker

LOOP_SLOTS = 4_096


def run_worker(settings: Settings) -> None:
    """Run tasks until SIGTERM or SIGINT, then hand back what is running.

    SIGTERM first gives it a grace time to end; SIGINT, SIGHUP and a second signal do not.

    Raises:
        ConfigError: There is no Redis to work for, or a program cannot be loaded.
    """
    if settings.redis_url is None:
        raise ConfigError("FANFOLD_REDIS_URL: a worker needs to know which Redis to work for")
    catalog = load_catalog(settings.programs)
    has_async = any(isinstance(program, Program) and program.is_async for program in catalog)
    log_to_stderr(settings)
    with tracing(settings, os.environ, role="worker") as tracer:
        uvloop.run(_work(settings, settings.redis_url, has_async=has_async, tracer=tracer))


async def _work(settings: Settings, url: str, *, has_async: bool, tracer: Tracer) -> None:
    stop = Stop.on_signals()
    collect_garbage_seldom()
    redis, blobs = connect(url), blobs_of(settings)
    ledger, metrics = RedisLedger(redis), WorkerMetrics(settings, redis)
    lister = Lister(RedisRecords(redis), blobs, scratch_of(settings, "listings", pid=os.getpid()))
    worker = Worker(
        f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        MeteredLedger(ledger, metrics.meter, tracer),
        blobs,
        lister=lister,
        name_of=sources_of(settings, blobs).name_of,
    )
    remove_leftover_scratch(settings)
    processes = _Processes(
        programs=program_process(settings, "process"),
        loop=program_process(settings, "loop"),
        sql=sql_process(settings),
    )
    lanes = _lanes(url, worker, processes, _traced(tracer, RedisTraces(redis)))
    async with AsyncExitStack() as at_end:  # last in, first out: the lanes hand back what runs
        at_end.push_async_callback(redis.aclose)
        await at_end.enter_async_context(metrics.running())
        for process in processes:
            at_end.push_async_callback(process.stop)
        for lane in lanes:
            at_end.push_async_callback(lane.stop)
        at_end.push_async_callback(_leave, ledger, worker.name)
        sender = at_end.enter_context(HttpxWebhooks(settings.webhook_hosts))
        with suppress(UnavailableError):
            await require_layout(redis)
        await processes.start(has_sql=settings.sql, has_async=has_async)
        with suppress(UnavailableError):  # the first heartbeat does it as well
            await ledger.enter(worker.name)
        pickups = [asyncio.create_task(lane.async_run()) for lane in lanes]
        upkeep = [
            asyncio.create_task(worker.keep_leases()),
            asyncio.create_task(_webhooks(settings, redis, sender).run(), name="webhooks"),
            asyncio.create_task(
                take_care(
                    ledger,
                    blobs,
                    lister=lister,
                    keep_uploads_s=settings.retention_seconds,
                    unfinished=settings.data_dir / "uploads",
                )
            ),
        ]
        try:
            await _first_of(stop.told, *pickups, *upkeep)
            await _let_run_on(lanes, upkeep, stop, within_s=settings.grace_seconds)
        finally:
            await cancel_all([*pickups, *upkeep])


class _Processes(NamedTuple):
    """Where attempts run: programs in one, async programs and SQL each in one of their own."""

    programs: TaskProcess
    loop: TaskProcess
    sql: TaskProcess

    async def start(self, *, has_sql: bool, has_async: bool) -> None:
        """Start those that are wanted."""
        wanted = [
            self.programs,
            *([self.sql] if has_sql else []),
            *([self.loop] if has_async else []),
        ]
        await asyncio.gather(*(process.start() for process in wanted))

    def of(self, attempt: Attempt) -> TaskProcess:
        """Return the one for an attempt that is no async program's."""
        return self.programs if attempt.sql is None else self.sql


def _lanes(
    url: str,
    worker: Worker,
    processes: _Processes,
    traced: Callable[[Claim], AbstractAsyncContextManager[None]],
) -> list[EventWorker]:
    """Return what picks up attempts: one at a time, and very many that wait most of the time."""
    process = _runner(worker, processes.of, traced)
    loop = _runner(worker, lambda _: processes.loop, traced)
    return [
        EventWorker(url, lane="process", slots=1, run=process),
        EventWorker(url, lane="loop", slots=LOOP_SLOTS, run=loop),
    ]


def _webhooks(settings: Settings, redis: Redis, sender: HttpxWebhooks) -> Webhooks:
    signer = signer_of(settings)
    return Webhooks(
        RedisWebhooks(redis, key=key_name(signer)),
        jobs=RedisJobs(redis),
        sender=sender,
        secret_of=partial(webhook_secret, signer),
    )


async def _leave(ledger: RedisLedger, name: str) -> None:
    with suppress(UnavailableError):
        await ledger.leave(name)


def _runner(
    worker: Worker,
    process_for: Callable[[Attempt], TaskProcess],
    traced: Callable[[Claim], AbstractAsyncContextManager[None]],
) -> Callable[[str, str, int], Awaitable[None]]:
    async def run(job: str, task: str, number: int) -> None:
        claim = Claim(JobId(job), TaskId(task), number)
        with log_fields(job=job, task=task, attempt=number):
            async with traced(claim):
                await worker.run(claim, process_for)

    return run


def _traced(
    tracer: Tracer, traces: RedisTraces
) -> Callable[[Claim], AbstractAsyncContextManager[None]]:
    """Return what opens the span of an attempt, in the trace of its job."""

    @asynccontextmanager
    async def traced(claim: Claim) -> AsyncIterator[None]:
        parent = await traces.parent_of(claim.job)
        kind = claim.task.partition("-")[0]
        with tracer.span(kind, parent=parent, job=claim.job, task=claim.task, attempt=claim.number):
            yield

    return (lambda _: nullcontext()) if tracer is UNTRACED else traced


async def _first_of(told: asyncio.Event, *background: asyncio.Task[None]) -> None:
    """Wait until told to stop; a background task that ends by itself is a fault and is raised."""
    waiting = asyncio.create_task(told.wait())
    try:
        done, _ = await asyncio.wait([waiting, *background], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        await cancel_all([waiting])


async def _let_run_on(
    lanes: Sequence[EventWorker],
    upkeep: Sequence[asyncio.Task[None]],
    stop: Stop,
    *,
    within_s: float,
) -> None:
    """Wait until what runs has ended, for a while; leases are kept meanwhile."""
    draining = asyncio.create_task(_drain(lanes))
    hurry = asyncio.create_task(stop.hurry.wait())
    try:
        await asyncio.wait(
            [draining, hurry, *upkeep], timeout=within_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        await cancel_all([hurry, draining])


async def _drain(lanes: Sequence[EventWorker]) -> None:
    await asyncio.gather(*(lane.drain() for lane in lanes))
