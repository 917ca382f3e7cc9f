"""Submit to answer: a trivial inline job with ``waitUpToMs``, over GraphQL, all on one machine."""

from __future__ import annotations

import asyncio
import time

import httpx

from bench.report import percentile, show
from bench.service import service

JOBS = 200
WARM_UP = 20
_SUBMIT = """
mutation Submit($input: SubmitJobInput!) {
  submitJob(input: $input) {
    ... on SubmitJobSuccess { job { id status { state result } } }
  }
}
"""
_INPUT = {
    "program": "wordcount",
    "source": {"inline": ["to be or not to be"]},
    "waitUpToMs": 5_000,
}


def main() -> None:
    """Measure and print."""
    with service(workers=2) as running:
        times = asyncio.run(_submit(running.url))
    show(
        "a trivial inline job: submit to answer",
        ["", "p50 ms", "p99 ms"],
        [["Fanfold", f"{percentile(times, 0.5):.1f}", f"{percentile(times, 0.99):.1f}"]],
    )


async def _submit(url: str) -> list[float]:
    times = []
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for _ in range(WARM_UP + JOBS):
            started = time.perf_counter()
            answer = await client.post(
                "/graphql", json={"query": _SUBMIT, "variables": {"input": _INPUT}}
            )
            times.append((time.perf_counter() - started) * 1000)
            state = answer.json()["data"]["submitJob"]["job"]["status"]["state"]
            if state != "SUCCEEDED":
                raise AssertionError(answer.text)
    return times[WARM_UP:]
