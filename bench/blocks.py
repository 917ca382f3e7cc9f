"""How long one request holds up all others: the longest answer to a question that costs nothing.

One API process, asked for ``/livez`` over and over while it gets requests that are as heavy as its
limits allow, each several times. Beside the clock's time it tells how long the process was at work
between a question and its answer: that is what a request is to blame for, whatever else the machine
does meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, NamedTuple

from app.local.embedded_redis import EmbeddedRedis
from bench.report import show, spread
from bench.submit_rate import Serving, fanfold, running

TRIES: Final = int(os.environ.get("BENCH_ROUNDS", "5"))
GOAL_MS: Final = 25
SETTLE_S: Final = 0.1
PAUSE_S: Final = 0.0005
PING: Final = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
MIB: Final = 1024 * 1024 - 400
SUBMIT: Final = """mutation Submit($input: SubmitJobInput!) {
  submitJob(input: $input) { __typename ... on SubmitJobSuccess { job { id } } }
}"""


def main() -> None:
    """Measure and print."""
    asyncio.run(_main())


async def _main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="fanfold-bench-") as name:
        folder = Path(name)
        (system, *_) = fanfold(folder)
        async with EmbeddedRedis(folder / "redis") as redis:
            system.environment["FANFOLD_REDIS_URL"] = redis.url
            with running(system) as serving:
                for case, body in {"nothing": None, **_bodies()}.items():
                    found = [await asyncio.to_thread(_longest, serving, body) for _ in range(TRIES)]
                    rows.append(
                        [
                            case,
                            spread([wait.busy_ms for wait, _ in found], digits=0),
                            spread([wait.clock_ms for wait, _ in found], digits=0),
                            found[0][1],
                        ]
                    )
    show(
        f"longest wait for others, ms; the goal is {GOAL_MS}",
        ["", "at work", "by the clock", "answer"],
        rows,
    )


def _bodies() -> Mapping[str, bytes]:
    """Return requests that are as heavy as they may be, by name."""
    items = [str(i) for i in range(100_000)]
    objects = [{"a": i % 10} for i in range(80_000)]
    nulls = [{"a": None} for _ in range(75_000)]
    empty = "[" + ",".join(["[]"] * (MIB // 3 - 100)) + "]"
    return {
        "100,000 items, a batch each": _submit(inline=items, batching={"maxItems": 1}),
        "100,000 items": _submit(inline=items),
        "80,000 objects": _submit(inline=objects),
        "75,000 objects of nulls, a batch each": _submit(inline=nulls, batching={"maxItems": 1}),
        "100,000 items of no kind": _submit(inline=[1] * 100_000),
        "one item of 350,000 lists": _request(
            '{"program":"wordcount","source":{"inline":[{"a":' + empty + "}]}}"
        ),
        "parameters of 350,000 lists": _request(
            '{"program":"wordcount","params":{"a":' + empty + '},"source":{"inline":["a"]}}'
        ),
        "200,000 tags": _submit(inline=["a"], tags=["a"] * 200_000),
        "SQL over 80,000 objects": _request(
            json.dumps({"sql": "SELECT count(*) AS n FROM input", "source": {"inline": objects}})
        ),
        "SQL with parameters of 350,000 lists": _request(
            '{"sql":"SELECT $a AS n FROM input","params":{"a":'
            + empty
            + '},"source":{"inline":["a"]}}'
        ),
        "a file of 10,000 addresses": _submit(files={"uris": ["x/y"] * 10_000}),
        "a document of 1,000 words": json.dumps({"query": "{" + "a " * 990 + "}"}).encode(),
        "a document of 64 KiB": json.dumps({"query": '{a(b:"' + "x" * 65_000 + '")}'}).encode(),
        "fields that repeat": json.dumps({"query": "{" + "service{version}" * 150 + "}"}).encode(),
    }


def _submit(**rest: Any) -> bytes:
    source = {name: rest.pop(name) for name in ("inline", "files") if name in rest}
    return _request(json.dumps({"program": "wordcount", "source": source, **rest}))


def _request(input: str) -> bytes:
    return f'{{"query":{json.dumps(SUBMIT)},"variables":{{"input":{input}}}}}'.encode()


class _Wait(NamedTuple):
    """From a question to its answer: time that the server was at work, and time that went by."""

    busy_ms: float
    clock_ms: float


def _longest(serving: Serving, body: bytes | None) -> tuple[_Wait, str]:
    """Return how long somebody else waited at most, and what became of the request."""
    is_over, waits, answer = threading.Event(), [_Wait(0, 0)], "-"
    pinging = threading.Thread(target=_ping, args=(serving, waits, is_over))
    pinging.start()
    try:
        is_over.wait(SETTLE_S)
        if body is not None:
            answer = _answer(*_sent(serving.port, body))
        is_over.wait(SETTLE_S)
    finally:
        is_over.set()
        pinging.join()
    longest = _Wait(max(wait.busy_ms for wait in waits), max(wait.clock_ms for wait in waits))
    return longest, answer


def _ping(serving: Serving, waits: list[_Wait], is_over: threading.Event) -> None:
    work = Path(f"/proc/{serving.pid}/task/{serving.pid}/schedstat")
    with socket.create_connection(("127.0.0.1", serving.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not is_over.wait(PAUSE_S):
            busy, since = _work_ms(work), time.perf_counter()
            connection.sendall(PING)
            connection.recv(4096)
            clock_ms = 1000 * (time.perf_counter() - since)
            waits.append(_Wait(_work_ms(work) - busy, clock_ms))


def _work_ms(schedstat: Path) -> float:
    """Return for how long a thread has had a core."""
    return int(schedstat.read_text().split()[0]) / 1e6


def _sent(port: int, body: bytes) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        found = connection.getresponse()
        return found.status, found.read()
    finally:
        connection.close()


def _answer(status: int, text: bytes) -> str:
    body = json.loads(text)
    if body.get("errors"):
        return f"{status}: {body['errors'][0]['message'][:50]}"
    return f"{status} {body['data']['submitJob']['__typename']}"


if __name__ == "__main__":
    main()
