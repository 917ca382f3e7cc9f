"""Submits a second: Fanfold's API beside stock Strawberry and graphql-yoga, in one run.

Fanfold stores and dispatches every job in a private Redis, and nothing takes them. graphql-yoga is
there twice: answering from memory, as Strawberry does, so what they lack is to their advantage; and
with a hash and an entry in a list for every job, in one transaction on the same kind of Redis.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from app.launcher import tied
from app.local.embedded_redis import EmbeddedRedis
from bench.load import Load, load
from bench.process_memory import process_memory
from bench.report import show, spread
from tests.support.node import Node, NoNodeError

CONNECTIONS: Final = 32
READY_WITHIN_S: Final = 30.0
STOPS_WITHIN_S: Final = 15.0
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "3"))
YOGA: Final = Path(__file__).with_name("peers") / "submit_yoga"
YOGA_NAME: Final = "yoga"
SDL: Final = Path(__file__).parents[1] / "schema" / "schema.graphql"
BODY: Final = json.dumps(
    {
        "query": """mutation Submit($input: SubmitJobInput!) {
          submitJob(input: $input) {
            __typename
            ... on SubmitJobSuccess { created job { id status { id version state } } }
          }
        }""",
        "variables": {"input": {"program": "wordcount", "source": {"inline": ["to be or", "not"]}}},
    }
).encode()


class Serving(NamedTuple):
    """Where a system answers, and its first process."""

    port: int
    pid: int


class _Used(NamedTuple):
    """Time on a core: of the server's processes, and of Redis."""

    server: float
    redis: float


@dataclass
class _System:
    name: str
    command: Callable[[int], Sequence[str]]
    environment: dict[str, str] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    used: list[_Used] = field(default_factory=list)
    serving: Serving | None = None

    @property
    def rate(self) -> float:
        return statistics.median(found.requests_per_s for found in self.loads)

    @property
    def p99_ms(self) -> float:
        return statistics.median(found.p99_ms for found in self.loads)


def main() -> None:
    """Measure and print."""
    asyncio.run(_main())


async def _main() -> None:
    with tempfile.TemporaryDirectory(prefix="fanfold-bench-") as name:
        folder = Path(name)
        systems = [*fanfold(folder), *_peers()]
        async with AsyncExitStack() as stack:
            for number, system in enumerate(systems):
                redis = await stack.enter_async_context(EmbeddedRedis(folder / f"redis-{number}"))
                system.environment["FANFOLD_REDIS_URL"] = redis.url
                system.serving = stack.enter_context(running(system))
            # In turns, all being warm: what else the machine does is then about the same for all.
            for _ in range(ROUNDS):
                for system in systems:
                    await _measure(system, folder)
    _show(systems)


async def _measure(system: _System, folder: Path) -> None:
    serving = system.serving
    assert serving is not None
    before = _used_s(serving.pid)
    found = await asyncio.to_thread(
        load, serving.port, BODY, connections=CONNECTIONS, seconds=SECONDS, folder=folder
    )
    spent = zip(_used_s(serving.pid), before, strict=True)
    system.loads.append(found)
    system.used.append(_Used(*(1e6 * (after - since) / found.requests for after, since in spent)))


def _show(systems: Sequence[_System]) -> None:
    first = systems[0]
    peers = [system for system in systems if system.name.startswith(YOGA_NAME)]
    columns = ["", "requests/s", "p99 ms", "server µs", "Redis µs", "of one"]
    columns += [f"rate, p99 of {peer.name}" for peer in peers]
    show(
        f"submits, {CONNECTIONS} connections",
        columns,
        [
            [
                system.name,
                spread([found.requests_per_s for found in system.loads], digits=0),
                spread([found.p99_ms for found in system.loads], digits=1),
                *(spread(list(used), digits=0) for used in zip(*system.used, strict=True)),
                f"{system.rate / first.rate:.2f}",
                *(_beside(system, peer) for peer in peers),
            ]
            for system in systems
        ],
    )


def _used_s(pid: int) -> _Used:
    """Return what the processes of a system have used so far; of all Redis one alone is at work."""
    # Not their children, which write files anew and end.
    servers = [child for child in psutil.Process().children() if "redis" in child.name()]
    redis = sum(sum(server.cpu_times()[:2]) for server in servers)
    return _Used(sum(found.cpu_s for found in process_memory(pid)), redis)


def _beside(system: _System, peer: _System) -> str:
    return f"{system.rate / peer.rate:.2f}, {system.p99_ms / peer.p99_ms:.2f}"


def fanfold(folder: Path) -> list[_System]:
    settings = {
        "FANFOLD_QUOTA_LIVE_JOBS": "0",
        "FANFOLD_QUOTA_QUEUED_TASKS": "0",
        "FANFOLD_QUOTA_SUBMITS_PER_MINUTE": "0",
    }
    return [
        _System(
            f"Fanfold, {processes} API process{'es' if processes > 1 else ''}",
            lambda port: [sys.executable, "-m", "app.cli", "api", "--port", str(port)],
            {
                **settings,
                "FANFOLD_API_PROCESSES": str(processes),
                "FANFOLD_DATA_DIR": str(folder / f"data-{processes}"),
            },
        )
        for processes in (1, 2)
    ]


def _peers() -> list[_System]:
    peers = [
        _System(
            "Strawberry",
            lambda port: [sys.executable, "-m", "bench.peers.submit_strawberry", str(port)],
        )
    ]
    try:
        node = Node.find()
        node.install(YOGA)
    except NoNodeError as exc:
        print(f"without graphql-yoga: {exc}", file=sys.stderr)  # noqa: T201
    else:
        server = YOGA / "server.mjs"
        for name, *mode in ((YOGA_NAME,), (f"{YOGA_NAME}, stored", "stored")):
            peers.append(_System(name, _yoga(node, server, *mode)))
    return peers


def _yoga(node: Node, server: Path, *mode: str) -> Callable[[int], Sequence[str]]:
    return lambda port: [*node.node, str(server), str(port), str(SDL), *mode]


@contextmanager
def running(system: _System) -> Iterator[Serving]:
    """Run a system while the context is open."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {**os.environ, **system.environment}
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(tied(system.command(port)), env=environment))
        stack.callback(process.wait, STOPS_WITHIN_S)
        stack.callback(process.terminate)
        _wait_until_answering(port, process)
        yield Serving(port, process.pid)


def _wait_until_answering(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", BODY, {"Content-Type": "application/json"}
    )
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not answer")


if __name__ == "__main__":
    main()
