"""The whole service on one machine: a private Redis, worker processes, the API in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from app.local.embedded_redis import EmbeddedRedis
from app.local.keeper import keep_running
from app.local.redis_keeper import keep_redis
from app.runtime import environment_of
from app.serving.api import api_at
from app.serving.api_processes import api_processes
from app.serving.server import listening_socket, spare_the_collector
from app.settings import Settings
from app.stopping import Stop
from engine.cancellation import cancel_all
from engine.catalog import load_catalog
from engine.errors import ConfigError

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
    if stop is None:
        stop = Stop()
        stop.hurry.set()
    async with AsyncExitStack() as stack:
        # Before anything is started, so that a port in use costs nothing.
        listener = stack.enter_context(listening_socket(settings))
        url = settings.redis_url
        if url is None:
            redis = await stack.enter_async_context(
                EmbeddedRedis(settings.data_dir, appendfsync=settings.redis_fsync)
            )
            url = redis.url
            await stack.enter_async_context(_kept(redis, on_redis_lost))
        settings = settings.model_copy(update={"redis_url": url})
        await stack.enter_async_context(_workers(settings, stop))
        if settings.api_processes > 1:
            listener.close()
            yield await stack.enter_async_context(api_processes(settings, stop))
        else:
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
        spare_the_collector()
        log.info("console at %s, GraphiQL at %s/graphql", address, address)
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
async def _workers(settings: Settings, stop: Stop) -> AsyncIterator[None]:
    environment = environment_of(settings, redis_url=settings.redis_url)
    keepers = [
        asyncio.create_task(
            keep_running(("worker",), environment, stop, grace_s=settings.grace_seconds),
            name=f"worker {index}",
        )
        for index in range(settings.workers)
    ]
    try:
        yield
    finally:
        await cancel_all(keepers)
