"""What a running service still holds of a job: in its Redis, among its blobs, in its scratch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from adapters.redis.ledger import LATE_KEY
from tests.support.killing import workers_of
from tests.support.running import RunningService


def redis_url_of(service: RunningService) -> str:
    """Return the address of the service's Redis, as its workers know it."""
    for worker in workers_of(service):
        try:
            return worker.environ()["FANFOLD_REDIS_URL"]
        except psutil.NoSuchProcess:
            continue
    raise AssertionError("no worker runs")


def in_redis(service: RunningService, job: str) -> set[str]:
    """Return the keys that are about a job, or that hold it as a member.

    But for what an erased job is due once more by.
    """
    with Redis.from_url(redis_url_of(service), decode_responses=True) as redis:
        found = set(redis.scan_iter(f"*{job}*"))
        for key in redis.scan_iter():
            if key == LATE_KEY:
                continue
            members: Any = ()
            match redis.type(key):
                case "set":
                    members = redis.smembers(key)
                case "zset":
                    members = redis.zrange(key, 0, -1)
                case "list":
                    members = redis.lrange(key, 0, -1)
            if any(job in member for member in members):
                found.add(key)
    return found


def pieces_in_redis(service: RunningService, job: str) -> set[str]:
    """Return the keys of what tasks of a job gave each other."""
    kinds = (":batches", ":pieces:", ":cuts", ":data:")
    return {key for key in in_redis(service, job) if any(kind in key for kind in kinds)}


def blobs_of(service: RunningService, job: str) -> set[str]:
    """Return the blobs of a job, in the folder that the service keeps them in."""
    folder = service.data_dir / "blobs" / "jobs" / job
    return {str(path.relative_to(folder)) for path in _files(folder)}


def scratch_of(service: RunningService) -> set[Path]:
    """Return the scratch files of all task processes."""
    return set(_files(service.data_dir / "scratch"))


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.glob("**/*"):
        if path.is_file():
            yield path
