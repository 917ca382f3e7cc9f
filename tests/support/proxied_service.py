"""A service whose every word with Redis passes through a proxy, and the Redis behind it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from tests.support.invariants import leftovers, wrong_commits
from tests.support.own_redis import own_redis_in
from tests.support.redis_proxy import RedisProxy, proxied
from tests.support.running import RunningService, free_port, running_service
from tests.support.waiting import eventually_async


@dataclass(frozen=True)
class ProxiedService:
    """See above.

    Attributes:
        service: ``fanfold up`` with two workers.
        proxy: What it takes for Redis.
        redis: A client of Redis itself.
    """

    service: RunningService
    proxy: RedisProxy
    redis: Redis

    @property
    def blobs(self) -> Path:
        return self.service.data_dir / "blobs"

    async def is_as_before(self) -> None:
        """Wait until results alone are left, and check that every task was committed once."""
        await eventually_async(lambda: not leftovers(self.redis, self.blobs))
        assert wrong_commits(self.proxy.commits) == []


@contextmanager
def proxied_redis() -> Iterator[tuple[RedisProxy, Redis]]:
    """Run a Redis that keeps what it is told, and a proxy before it."""
    with tempfile.TemporaryDirectory() as short, own_redis_in(Path(short), keeps=True) as own:
        own.start()
        with proxied(own.url) as proxy, Redis.from_url(own.url) as redis:
            yield proxy, redis


@contextmanager
def proxied_service(folder: Path) -> Iterator[ProxiedService]:
    """Run a service in *folder*, which may have a folder ``sources``."""
    (folder / "sources").mkdir(exist_ok=True)
    with proxied_redis() as (proxy, redis):
        settings = {"FANFOLD_REDIS_URL": proxy.url, "FANFOLD_SQL": "off"}
        data, sources, port = folder / "data", folder / "sources", free_port()
        with running_service(data, sources, port=port, settings=settings) as service:
            yield ProxiedService(service, proxy, redis)
