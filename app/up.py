"""The whole service on one machine: a private Redis, worker processes, the API in this process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from app.api import api_at, listening_socket
from app.embedded_redis import EmbeddedRedis
from app.launcher import tied
from app.redis_keeper import keep_redis
from app.runtime import environment_of, module_command
from app.settings import Settings
from app.stopping import Stop
from engine.cancellation import cancel_all, finish
from engine.catalog import load_catalog
from engine.errors import ConfigError

RESTART_AFTER_S: Final = 0.5
STEADY_AFTER_S: Final = 5.0
LONGEST_PAUSE_S: Final = 4.0
STOP_WITHIN_S: Final = 10.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def running_service(
    settings: Settings,
    *,
    stop: Stop | None = None,
    on_redis_lost: Callable[[ConfigError], None] | None = None,
) -> AsyncIterator[str]:
    """Run everything while the context is open; yield the address of the API.

    Ends in the order API, workers, Redis, so that nothing loses what it depends on. Workers and the
    private Redis are started again when they die; all others wait for them meanwhile.

    Args:
        settings: Of this deployment.
        stop: Tells at the end whether tasks may run on for their grace time; without it they are
            handed back at once.
        on_redis_lost: Called when the private Redis has died and does not start again.

    Raises:
        ConfigError: The port or the data folder is in use, a program cannot be loaded, or Redis
            does not start.
    """
    load_catalog(settings.programs)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening_socket(settings))
        url = settings.redis_url
        if url is None:
            redis = await stack.enter_async_context(EmbeddedRedis(settings.data_dir))
            url = redis.url
            await stack.enter_async_context(_kept(redis, on_redis_lost))
        settings = settings.model_copy(update={"redis_url": url})
        await stack.enter_async_context(_workers(settings, stop))
        yield await stack.enter_async_context(api_at(settings, listener))


async def up(settings: Settings) -> None:
    """Run everything until SIGTERM, which lets tasks run on for their grace time, or SIGINT.

    Raises:
        ConfigError: As ``running_service``; or the private Redis has died and does not start again.
    """
    stop = Stop.on_signals()
    lost: list[ConfigError] = []

    def lose(reason: ConfigError) -> None:
        lost.append(reason)
        stop.tell_to_hurry()

    async with running_service(settings, stop=stop, on_redis_lost=lose) as address:
        log.info("API at %s, GraphiQL at %s/graphql", address, address)
        await stop.told.wait()
    if lost:
        raise lost[0]


@asynccontextmanager
async def _kept(
    redis: EmbeddedRedis, on_lost: Callable[[ConfigError], None] | None
) -> AsyncIterator[None]:
    async def keep() -> None:
        try:
            await keep_redis(redis)
        except ConfigError as exc:
            log.error("%s", exc.message)
            if on_lost is not None:
                on_lost(exc)

    keeping = asyncio.create_task(keep(), name="redis")
    try:
        yield
    finally:
        await cancel_all([keeping])


@asynccontextmanager
async def _workers(settings: Settings, stop: Stop | None) -> AsyncIterator[None]:
    if stop is None:
        stop = Stop()
        stop.hurry.set()
    environment = environment_of(settings, redis_url=settings.redis_url)
    keepers = [
        asyncio.create_task(
            _keep_worker(environment, stop, grace_s=settings.grace_seconds), name=f"worker {index}"
        )
        for index in range(settings.workers)
    ]
    try:
        yield
    finally:
        await cancel_all(keepers)


async def _keep_worker(environment: Mapping[str, str], stop: Stop, *, grace_s: float) -> None:
    """Keep one worker process running; end it when cancelled.

    One that cannot even start is tried again with growing pauses.
    """
    failures = 0
    while True:
        since = time.monotonic()
        try:
            process = await _start_worker(environment)
        except OSError as exc:
            log.warning("a worker did not start: %s", exc)
        else:
            try:
                log.warning("worker %d ended with %d", process.pid, await process.wait())
            finally:
                await finish(_end(process, stop, grace_s=grace_s))
        failures = 0 if time.monotonic() - since > STEADY_AFTER_S else failures + 1
        await asyncio.sleep(min(RESTART_AFTER_S * 2 ** max(0, failures - 3), LONGEST_PAUSE_S))


async def _start_worker(environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        # Without this process there may be no Redis either, so a worker has nothing to wait for.
        *tied(_fanfold_command("worker"), at_death=signal.SIGHUP),
        stdin=asyncio.subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


async def _end(process: asyncio.subprocess.Process, stop: Stop, *, grace_s: float) -> None:
    """Ask a process to stop, ask it to hurry when this one is to hurry, then kill it."""
    ended = asyncio.create_task(process.wait())
    hurry = asyncio.create_task(stop.hurry.wait())
    _send(process, signal.SIGHUP if stop.hurry.is_set() else signal.SIGTERM)
    await asyncio.wait([ended, hurry], timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    if stop.hurry.is_set() and not ended.done():
        _send(process, signal.SIGHUP)
    await asyncio.wait([ended], timeout=STOP_WITHIN_S)
    if not ended.done():
        _send(process, signal.SIGKILL)
    await cancel_all([hurry])
    await ended


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _fanfold_command(role: str) -> list[str]:
    """Return the command of one role, by the installed script where there is one."""
    script = Path(sys.executable).with_name("fanfold")
    return [str(script), role] if os.access(script, os.X_OK) else module_command("app.cli", role)
