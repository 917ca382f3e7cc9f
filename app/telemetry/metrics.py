"""The figures of a process, and where Prometheus finds them.

Where nobody is asked who they are, the API shows them at ``/metrics``, with those of its siblings
and of the whole deployment. Elsewhere only ``FANFOLD_METRICS_PORT`` does: they tell of all tenants.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.prometheus import (
    ApiFigures,
    RuntimeFigures,
    WorkerFigures,
    exposition,
    families_of,
    figures_of,
)
from adapters.redis.metrics import RedisClock, read_redis_metrics
from app.serving.server import serving
from app.settings import Settings
from app.telemetry.siblings import Siblings
from engine.cancellation import cancel_all
from engine.errors import ConfigError, UnavailableError

PATH: Final = "/metrics"
REDIS_WITHIN_S: Final = 2.0

log = logging.getLogger(__name__)


class ApiMetrics:
    """What an API process measures, and what it shows.

    Attributes:
        meter: Hears what happens; a ``PushMeter`` and an ``HttpMeter``.
    """

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings = settings
        self._redis = redis
        self._registry = CollectorRegistry()
        self._runtime = RuntimeFigures(self._registry)
        self._clock = RedisClock(redis)
        self._siblings = Siblings(settings.data_dir, "api", lambda: figures_of(self._registry))
        self.meter = ApiFigures(self._registry, self._clock)

    @asynccontextmanager
    async def running(self, *, is_shared: bool) -> AsyncIterator[None]:
        """Measure, and show it, while the context is open.

        Args:
            is_shared: Whether other processes of the API listen on the same ports. Whichever is
                asked tells of all.

        Raises:
            ConfigError: The port is in use.
        """
        async with (
            _kept(self._clock, self._runtime),
            self._siblings.answering(),
            _port(self._settings, self._scrape, is_shared=is_shared),
        ):
            yield

    def route(self) -> Route:
        """Return ``/metrics`` of the API's own port."""
        return Route(PATH, _elsewhere if self._settings.auth else self._scrape)

    async def _scrape(self, request: Request) -> Response:
        told, of_all = await asyncio.gather(self._siblings.ask(), self._of_all())
        told[self._siblings.name] = figures_of(self._registry)
        return await asyncio.to_thread(_answer, told, of_all, request.headers.get("accept", ""))

    async def _of_all(self) -> list[Metric]:
        """Return what Redis knows of the whole deployment, and whether it answers."""
        up = GaugeMetricFamily("fanfold_redis_up", "Whether Redis answers.")
        families: list[Metric] = []
        try:
            async with asyncio.timeout(REDIS_WITHIN_S):
                families = await read_redis_metrics(self._redis)
        except (UnavailableError, TimeoutError):
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
        return [up, *families]


class WorkerMetrics:
    """What a worker measures.

    It shows that on a port of its own, if it has one, else by the API of its data folder.

    Attributes:
        meter: Hears what happens; a ``TaskMeter``.
    """

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings = settings
        self._registry = CollectorRegistry()
        self._runtime = RuntimeFigures(self._registry)
        self._clock = RedisClock(redis)
        self._siblings = Siblings(settings.data_dir, "worker", lambda: figures_of(self._registry))
        self.meter = WorkerFigures(self._registry)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure and show it, while the context is open.

        Raises:
            ConfigError: The port is in use.
        """
        async with _kept(self._clock, self._runtime):
            if self._settings.metrics_port:
                async with _port(self._settings, self._scrape):
                    yield
            else:
                async with self._siblings.answering():
                    yield

    async def _scrape(self, request: Request) -> Response:
        told = {self._siblings.name: figures_of(self._registry)}
        return _answer(told, [], request.headers.get("accept", ""))


def _answer(told: dict[str, bytes], of_all: list[Metric], accept: str) -> Response:
    families = [*of_all]
    for name, figures in sorted(told.items()):
        try:
            families += families_of(figures, process=name)
        except ValueError:
            log.warning("the figures of %s cannot be read", name)
    text, media_type = exposition(families, accept=accept)
    return Response(text, headers={"Content-Type": media_type, "Cache-Control": "no-store"})


async def _elsewhere(_: Request) -> Response:
    text = "figures of all tenants are shown at FANFOLD_METRICS_PORT only\n"
    return PlainTextResponse(text, status_code=403)


@asynccontextmanager
async def _kept(clock: RedisClock, runtime: RuntimeFigures) -> AsyncIterator[None]:
    keeping = asyncio.create_task(clock.keep(runtime), name="clock")
    try:
        yield
    finally:
        await cancel_all([keeping])


@asynccontextmanager
async def _port(
    settings: Settings,
    scrape: Callable[[Request], Awaitable[Response]],
    *,
    is_shared: bool = False,
) -> AsyncIterator[None]:
    """Serve figures at ``FANFOLD_METRICS_PORT`` to anybody who asks there."""
    if not settings.metrics_port:
        yield
        return
    host, port = settings.metrics_host, settings.metrics_port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listener.bind((host, port))
        except OSError as exc:
            raise ConfigError(
                f"FANFOLD_METRICS_PORT: cannot listen on {host}:{port}: {exc.strerror}; give every"
                " process of this machine its own"
            ) from exc
        async with serving(Starlette(routes=[Route(PATH, scrape)]), listener):
            yield
