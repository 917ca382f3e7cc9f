"""The whole service on one machine: a private Redis, worker processes, the API in this process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from app.api import api_at, listening_socket
from app.embedded_redis import EmbeddedRedis
from app.launcher import tied
from app.runtime import environment_of, module_command
from app.settings import Settings
from engine.cancellation import cancel_all, finish
from engine.catalog import load_catalog
from engine.errors import ConfigError

RESTART_AFTER_S: Final = 0.5
STOP_WITHIN_S: Final = 10.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def running_service(
    settings: Settings, *, on_redis_end: Callable[[int], None] | None = None
) -> AsyncIterator[str]:
    """Run everything while the context is open; yield the address of the API.

    Ends in the order API, workers, Redis, so that nothing loses what it depends on.

    Args:
        settings: Of this deployment.
        on_redis_end: Called with the exit status of the private Redis should it end by itself.

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
            if on_redis_end is not None:
                await stack.enter_async_context(_watched(redis, on_redis_end))
        settings = settings.model_copy(update={"redis_url": url})
        await stack.enter_async_context(_workers(settings, environment_of(settings, redis_url=url)))
        yield await stack.enter_async_context(api_at(settings, listener))


async def up(settings: Settings) -> None:
    """Run everything until SIGINT or SIGTERM.

    Raises:
        ConfigError: As ``running_service``; or the private Redis has ended, without which there is
            no service.
    """
    told = asyncio.Event()
    lost: list[int] = []

    def lose(status: int) -> None:
        lost.append(status)
        told.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told.set)
    async with running_service(settings, on_redis_end=lose) as address:
        log.info("API at %s, GraphiQL at %s/graphql", address, address)
        await told.wait()
    if lost:
        raise ConfigError(
            f"redis-server ended with {lost[0]}; its log is {settings.data_dir}/redis/redis.log. "
            "Start again: every accepted job goes on"
        )


@asynccontextmanager
async def _watched(redis: EmbeddedRedis, on_end: Callable[[int], None]) -> AsyncIterator[None]:
    async def watch() -> None:
        on_end(await redis.wait())

    watching = asyncio.create_task(watch(), name="redis")
    try:
        yield
    finally:
        await cancel_all([watching])


@asynccontextmanager
async def _workers(settings: Settings, environment: Mapping[str, str]) -> AsyncIterator[None]:
    keepers = [
        asyncio.create_task(_keep_worker(environment), name=f"worker {index}")
        for index in range(settings.workers)
    ]
    try:
        yield
    finally:
        await cancel_all(keepers)


async def _keep_worker(environment: Mapping[str, str]) -> None:
    """Keep one worker process running; end it when cancelled."""
    while True:
        process = await asyncio.create_subprocess_exec(
            *tied(_fanfold_command("worker")),
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            log.warning("worker %d ended with %d", process.pid, await process.wait())
        finally:
            await finish(_end(process))
        await asyncio.sleep(RESTART_AFTER_S)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a process to stop, then kill it."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _fanfold_command(role: str) -> list[str]:
    """Return the command of one role, by the installed script where there is one."""
    script = Path(sys.executable).with_name("fanfold")
    return [str(script), role] if os.access(script, os.X_OK) else module_command("app.cli", role)
