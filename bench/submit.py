"""Submit to answer: small jobs with ``waitUpToMs``, over GraphQL, all on one machine.

Then how many submits a second the API takes, beside other GraphQL servers.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from bench import submit_rate
from bench.report import percentile, show
from bench.service import service

WARM_UP = 20
_SUBMIT = """
mutation Submit($input: SubmitJobInput!) {
  submitJob(input: $input) {
    ... on SubmitJobSuccess { job { id status { state result } } }
  }
}
"""
CSV_BYTES = 1_000_000
_TRIVIAL = {
    "program": "wordcount",
    "source": {"inline": ["to be or not to be"]},
    "waitUpToMs": 5_000,
}
_SQL = {
    "sql": "SELECT name, count(*) AS n, avg(amount) AS mean FROM input GROUP BY name ORDER BY n",
    "source": {"files": {"uris": ["small.csv"]}},
    "waitUpToMs": 5_000,
}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="fanfold-submit-") as folder:
        write_csv(Path(folder) / "small.csv")
        with service(workers=2, source_root=Path(folder)) as running:
            trivial = asyncio.run(_submit(running.url, _TRIVIAL, jobs=200))
            sql = asyncio.run(_submit(running.url, _SQL, jobs=100))
    show(
        "submit to answer",
        ["", "p50 ms", "p99 ms"],
        [_row("a trivial inline job", trivial), _row("SQL over a CSV file of 1 MB", sql)],
    )
    submit_rate.main()


def write_csv(path: Path) -> None:
    """Write rows until the file has 1 MB, the same every time."""
    rng = random.Random(11)  # noqa: S311 - test data
    with path.open("w") as file:
        file.write("id,name,amount\n")
        row = 0
        while file.tell() < CSV_BYTES:
            file.write(f"{row},name-{rng.randrange(50)},{rng.random() * 1000:.2f}\n")
            row += 1


def _row(name: str, times: Sequence[float]) -> list[str]:
    return [name, f"{percentile(times, 0.5):.1f}", f"{percentile(times, 0.99):.1f}"]


async def _submit(url: str, job: Mapping[str, Any], *, jobs: int) -> list[float]:
    times = []
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for _ in range(WARM_UP + jobs):
            started = time.perf_counter()
            answer = await client.post(
                "/graphql", json={"query": _SUBMIT, "variables": {"input": job}}
            )
            times.append((time.perf_counter() - started) * 1000)
            state = answer.json()["data"]["submitJob"]["job"]["status"]["state"]
            if state != "SUCCEEDED":
                raise AssertionError(answer.text)
    return times[WARM_UP:]
