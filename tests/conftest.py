"""What every test may use: an event loop, a real Redis that each test finds empty, a real S3."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.redis_client import connect
from tests.support.ministack import running_ministack

ROOT = Path(__file__).parents[1]

REDIS = """
import sys
from pathlib import Path
import anyio
from app.embedded_redis import EmbeddedRedis

async def main(data_dir):
    async with EmbeddedRedis(Path(data_dir), appendfsync="no") as redis:
        print(redis.url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)

anyio.run(main, sys.argv[1])
"""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a redis-server that lives as long as the tests."""
    with subprocess.Popen(
        [sys.executable, "-c", REDIS, str(tmp_path_factory.mktemp("redis"))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
async def redis(redis_server: str, anyio_backend: object) -> AsyncIterator[Redis]:
    """A client of an empty Redis."""
    client = connect(redis_server)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 with the buckets ``blobs`` and ``results``."""
    with running_ministack(tmp_path_factory.mktemp("s3")) as stack:
        stack.create_bucket("blobs")
        stack.create_bucket("results")
        yield stack.endpoint
