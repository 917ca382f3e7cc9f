"""Submits a second: Fanfold's API beside stock Strawberry and graphql-yoga, in one run.

Fanfold stores and dispatches every job in a private Redis, and nothing takes them; the peers answer
the same document from memory, so what they lack is to their advantage.
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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.embedded_redis import EmbeddedRedis
from app.launcher import tied
from bench.load import Load, load
from bench.report import show, spread
from tests.support.node import Node, NoNodeError

CONNECTIONS: Final = 32
READY_WITHIN_S: Final = 30.0
STOPS_WITHIN_S: Final = 15.0
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "3"))
YOGA: Final = Path(__file__).with_name("peers") / "submit_yoga"
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


@dataclass
class _System:
    name: str
    command: Callable[[int], Sequence[str]]
    environment: dict[str, str] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)

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
        systems = [*_fanfold(folder), *_peers()]
        for _ in range(ROUNDS):
            for system in systems:
                async with EmbeddedRedis(folder / f"redis-{time.monotonic_ns()}") as redis:
                    system.environment["FANFOLD_REDIS_URL"] = redis.url
                    with _running(system) as port:
                        found = await asyncio.to_thread(
                            load,
                            port,
                            BODY,
                            connections=CONNECTIONS,
                            seconds=SECONDS,
                            folder=folder,
                        )
                    system.loads.append(found)
    _show(systems)


def _show(systems: Sequence[_System]) -> None:
    first, reference = systems[0], systems[-1]
    columns = ["", "requests/s", "p50 ms", "p99 ms", f"rate / {reference.name}", "/ one process"]
    show(
        f"submits, {CONNECTIONS} connections",
        columns,
        [
            [
                system.name,
                spread([found.requests_per_s for found in system.loads], digits=0),
                spread([found.p50_ms for found in system.loads], digits=1),
                spread([found.p99_ms for found in system.loads], digits=1),
                f"{system.rate / reference.rate:.2f}",
                f"{system.rate / first.rate:.2f}",
            ]
            for system in systems
        ],
    )


def _fanfold(folder: Path) -> list[_System]:
    settings = {
        "FANFOLD_DATA_DIR": str(folder / "data"),
        "FANFOLD_QUOTA_LIVE_JOBS": "0",
        "FANFOLD_QUOTA_QUEUED_TASKS": "0",
        "FANFOLD_QUOTA_SUBMITS_PER_MINUTE": "0",
    }
    return [
        _System(
            f"Fanfold, {processes} API process{'es' if processes > 1 else ''}",
            lambda port: [sys.executable, "-m", "app.cli", "api", "--port", str(port)],
            {**settings, "FANFOLD_API_PROCESSES": str(processes)},
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
        server = str(YOGA / "server.mjs")
        peers.append(_System("yoga", lambda port: [*node.node, server, str(port), str(SDL)]))
    return peers


@contextmanager
def _running(system: _System) -> Iterator[int]:
    """Run a system while the context is open; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {**os.environ, **system.environment}
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(tied(system.command(port)), env=environment))
        stack.callback(process.wait, STOPS_WITHIN_S)
        stack.callback(process.terminate)
        _wait_until_answering(port, process)
        yield port


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
