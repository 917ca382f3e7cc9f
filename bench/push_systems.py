"""The servers that are measured, each in a process of its own beside one Redis."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import psutil
from redis.asyncio import Redis

from adapters.redis.client import SHARED, source_of
from adapters.redis.jobs import RedisJobs
from app.launcher import tied
from app.local.embedded_redis import EmbeddedRedis
from engine.job import new_job_id
from engine.jobs import NewJob
from engine.plan import plan_inline
from engine.spec import parse_spec
from resolvers.access.caller import LOCAL_CALLER

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).with_name("peers")
NODE_PACKAGES = ("graphql@16", "graphql-ws@6", "ws@8", "redis@5")
STARTS_WITHIN_S = 60.0
JOBS_A_CALL = 100
PUBLISH = "for i = 2, #ARGV, 2 do redis.call('PUBLISH', 'job:' .. ARGV[i], ARGV[i + 1]) end"
CHANGE = "\nfor i = 1, #ARGV do changed(ARGV[i]) end"


class System(ABC):
    """One server.

    Attributes:
        name: For people.
        most_sockets: More it does not serve in any time that we have.
    """

    name: ClassVar[str]
    most_sockets: ClassVar[int] = 1 << 30

    def __init__(self, redis_url: str) -> None:
        self.redis_url = redis_url
        self.port = _free_port()

    @property
    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts it."""

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PUSH_PORT": str(self.port), "PUSH_REDIS": self.redis_url}

    async def make_jobs(self, redis: Redis, count: int) -> list[str]:
        """Return jobs that can be followed."""
        return [f"job-{number}" for number in range(count)]

    async def first_version(self, redis: Redis, jobs: Sequence[str]) -> int:
        return 1

    async def change(self, redis: Redis, jobs: Sequence[str], version: int) -> None:
        """Have all *jobs* at *version*."""
        for start in range(0, len(jobs), JOBS_A_CALL):
            args = [
                part
                for job in jobs[start : start + JOBS_A_CALL]
                for part in (job, _event(job, version))
            ]
            pending: Any = redis.eval(PUBLISH, 0, "", *args)
            await pending


class Fanfold(System):
    """``fanfold api``; jobs are real, and change as a commit of the ledger changes them."""

    name = "Fanfold"

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url)
        self._data = tempfile.TemporaryDirectory(prefix="fanfold-push-")
        self._script: Any = None

    @property
    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "app.cli", "api"]

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "FANFOLD_PORT": str(self.port),
            "FANFOLD_REDIS_URL": self.redis_url,
            "FANFOLD_DATA_DIR": self._data.name,
            "FANFOLD_SQL": "off",
        }

    async def make_jobs(self, redis: Redis, count: int) -> list[str]:
        spec = parse_spec({"program": "wordcount", "source": {"inline": ["a b"]}})
        jobs = RedisJobs(redis)
        accepted = []
        for _ in range(count):
            new = NewJob(
                id=new_job_id(),
                tenant=LOCAL_CALLER.tenant,
                submitted_by=LOCAL_CALLER.subject,
                spec=spec,
                plan=plan_inline(spec, is_map_only=False),
                is_async=False,
                is_map_only=False,
            )
            accepted.append((await jobs.accept(new)).id)
        return [str(job) for job in accepted]

    async def change(self, redis: Redis, jobs: Sequence[str], version: int) -> None:
        self._script = self._script or redis.register_script(source_of(*SHARED) + CHANGE)
        for start in range(0, len(jobs), JOBS_A_CALL):
            await self._script(args=list(jobs[start : start + JOBS_A_CALL]))


class StockStrawberry(System):
    """Strawberry as it comes, with a redis-py pub/sub for every subscription."""

    name = "Strawberry, pub/sub each"
    most_sockets = 1_000

    @property
    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "bench.peers.push_strawberry"]


class NodeGraphqlWs(System):
    """graphql-ws on Node, with one Redis subscriber for all."""

    name = "Node, graphql-ws"
    _folder: ClassVar[Path | None] = None

    @property
    def command(self) -> Sequence[str]:
        return [shutil.which("node") or "node", str(_node_folder() / "push_node.mjs")]


class RawBroadcast(System):
    """No GraphQL: uvicorn, and the same bytes to the transport of everybody."""

    name = "raw broadcast, uvicorn"

    @property
    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "bench.peers.push_raw"]


def _event(job: str, version: int) -> str:
    return json.dumps(
        {
            "id": job,
            "version": version,
            "state": "RUNNING",
            "phase": "MAP",
            "ratio": 0.5,
            "bytesRead": 1234567.0,
            "message": None,
            "updatedAt": "2026-01-31T12:00:00.000Z",
        }
    )


def _node_folder() -> Path:
    folder = Path(
        os.environ.get("BENCH_NODE_DIR") or Path(tempfile.gettempdir()) / "fanfold-bench-node"
    )
    folder.mkdir(exist_ok=True)
    if not (folder / "node_modules" / "graphql-ws").exists():
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        subprocess.run(
            ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", *NODE_PACKAGES],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    shutil.copy(PEERS / "push_node.mjs", folder)
    return folder


@contextmanager
def running(system: System) -> Iterator[psutil.Process]:
    """Run a server until the block is left; yield its process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **system.environment}
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(
            tied(list(system.command)), env=environment, stdout=log, stderr=log
        ) as process:
            try:
                _wait_for_port(system.port, process, log)
                yield psutil.Process(process.pid)
            finally:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()


@asynccontextmanager
async def redis_for_bench() -> AsyncIterator[str]:
    """Run a Redis; yield its address."""
    with tempfile.TemporaryDirectory(prefix="fanfold-push-redis-") as folder:
        async with EmbeddedRedis(Path(folder), appendfsync="no") as redis:
            yield redis.url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Any) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            log.seek(0)
            raise RuntimeError(f"the server ended: {log.read().decode(errors='replace')}")
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")
