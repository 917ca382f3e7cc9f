"""What every test may use: an event loop, a real Redis that each test finds empty, a real S3.

Tests of a whole service name it ``service``; clients of it are here. Each process of a run that
several share has its own of all of this.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from adapters.dynamodb.table import DynamoTable
from adapters.redis.client import connect
from tests.support.client import Api
from tests.support.dynamo import dynamo_client, new_table
from tests.support.killing import Stage
from tests.support.ministack import running_ministack
from tests.support.running import FOX, RunningService, free_port, running_service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[1]

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile(
    "fanfold", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("fanfold")

# Compiling everything anew is most of what a process does that lives for a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell's job in the background ignores Ctrl-C, and so would every process that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

REDIS = """
import sys
from pathlib import Path
import anyio
from app.local.embedded_redis import EmbeddedRedis

async def main(data_dir):
    async with EmbeddedRedis(Path(data_dir), appendfsync="no") as redis:
        print(redis.url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)

anyio.run(main, sys.argv[1])
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are cores: these tests wait a lot."""
    return min(8, len(os.sched_getaffinity(0)) + 1)


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


@pytest.fixture(scope="session")
def dynamodb(s3_endpoint: str) -> DynamoDBClient:
    """A client of a DynamoDB, which costs more than a table."""
    return dynamo_client(s3_endpoint)


@pytest.fixture
def dynamo(s3_endpoint: str, dynamodb: DynamoDBClient) -> DynamoTable:
    """An empty table of DynamoDB."""
    return new_table(s3_endpoint, client=dynamodb)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service for all tests that neither stop nor break it nor want it to be different."""
    folder = tmp_path_factory.mktemp("service")
    sources = folder / "sources"
    sources.mkdir()
    (sources / "fox.txt").write_text(FOX)
    (sources / "bad.jsonl").write_text('{"a": 1}\nthis is no JSON\n')
    with running_service(folder / "data", sources, port=free_port()) as running:
        yield running


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    """A GraphQL client of the service."""
    async with Api(service.url) as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of any address, past all proxies."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Where the program ``held`` stops, and from where it may go on."""
    return Stage(tmp_path / "stage")
