"""A worker process: the ledger, two lanes of arq's queues, two task processes, one caretaker."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import uvloop

from adapters.arq_worker import EventWorker
from adapters.redis_client import connect
from adapters.redis_ledger import RedisLedger
from app.launcher import tied
from app.runtime import blobs_of, environment_of, log_to_stderr, module_command
from app.settings import Settings
from engine.cancellation import cancel_all
from engine.catalog import load_catalog
from engine.errors import ConfigError
from engine.job import JobId, TaskId
from engine.ledger import Claim
from workers.caretaker import take_care
from workers.task_process import TaskProcess
from workers.worker import Worker

LOOP_SLOTS = 4_096


def run_worker(settings: Settings) -> None:
    """Run tasks until SIGTERM or SIGINT, then hand back what is running.

    Raises:
        ConfigError: There is no Redis to work for, or a program cannot be loaded.
    """
    if settings.redis_url is None:
        raise ConfigError("FANFOLD_REDIS_URL: a worker needs to know which Redis to work for")
    load_catalog(settings.programs)
    log_to_stderr()
    uvloop.run(_work(settings, settings.redis_url))


async def _work(settings: Settings, url: str) -> None:
    redis = connect(url)
    ledger = RedisLedger(redis)
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    worker = Worker(name, ledger, blobs_of(settings))
    processes = {lane: _task_process(settings, url, lane) for lane in ("process", "loop")}
    lanes = [
        EventWorker(url, lane="process", slots=1, run=_runner(worker, processes["process"])),
        EventWorker(url, lane="loop", slots=LOOP_SLOTS, run=_runner(worker, processes["loop"])),
    ]
    async with AsyncExitStack() as at_end:  # last in, first out: the lanes hand back what runs
        at_end.push_async_callback(redis.aclose)
        for process in processes.values():
            at_end.push_async_callback(process.stop)
        for lane in lanes:
            at_end.push_async_callback(lane.stop)
        await processes["process"].start()
        background = [
            *(asyncio.create_task(lane.async_run()) for lane in lanes),
            asyncio.create_task(worker.keep_leases()),
            asyncio.create_task(take_care(ledger, blobs_of(settings))),
        ]
        await _until_told_to_stop(background)


def _runner(worker: Worker, process: TaskProcess) -> Callable[[str, str, int], Awaitable[None]]:
    async def run(job: str, task: str, number: int) -> None:
        await worker.run(Claim(JobId(job), TaskId(task), number), process)

    return run


def _task_process(settings: Settings, url: str, lane: str) -> TaskProcess:
    return TaskProcess(
        tied(module_command("app.task", lane), at_death=signal.SIGKILL),
        environment=environment_of(settings, redis_url=url),
        one_at_a_time=lane == "process",
    )


async def _until_told_to_stop(background: list[asyncio.Task[None]]) -> None:
    """Wait for a signal; a background task that ends by itself is a fault and is raised."""
    told = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told.set)
    waiting = asyncio.create_task(told.wait())
    try:
        done, _ = await asyncio.wait([waiting, *background], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        await cancel_all((waiting, *background))
