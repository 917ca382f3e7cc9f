"""Shuffles larger than what a process may hold: exact, in bounded memory, and gone afterwards.

The long form is run on demand alone: ``LARGE_SHUFFLE=1``; it wants 20 GB of disk and minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.client import Api
from tests.support.leftovers import blobs_of, pieces_in_redis, scratch_of
from tests.support.running import RunningService, free_port, running_service
from tests.support.sql_jobs import submit_sql
from tests.support.waiting import eventually_async
from tests.support.watching import Peaks, watched

pytestmark = pytest.mark.anyio

MB: Final = 1_000_000
WIDTH: Final = 1_000
TWICE: Final = 100
REPEATED: Final = (
    "SELECT key, max(text) AS text, count(*) AS n FROM input GROUP BY key HAVING count(*) > 1"
)
IS_LARGE: Final = "LARGE_SHUFFLE" in os.environ
LARGE: Final = pytest.param(
    4 * 1024**3, id="4 GiB", marks=[pytest.mark.long, pytest.mark.timeout(1200)]
)
SIZES: Final = [pytest.param(256 * MB, id="256 MB"), *([LARGE] if IS_LARGE else [])]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("shuffle")
    (folder / "sources").mkdir()
    with running_service(folder / "data", folder / "sources", port=free_port()) as running:
        yield running
    for path in (folder / "sources").iterdir():
        path.unlink()


def source_of(service: RunningService, rows: int) -> str:
    """Write a row for each key, and a second one for some."""
    path = service.sources / f"{rows}.csv"
    if not path.exists():
        pad = "x" * (WIDTH - 20)
        with path.open("w") as file:
            file.write("key,text\n")
            file.writelines(f"k{number:09},{pad}{number:08}\n" for number in range(rows))
            file.writelines(f"k{number:09},{pad}{number:08}\n" for number in range(TWICE))
    return path.name


async def run_program(api: Api, source: str, rows: int, *, reducers: int, within_s: float) -> str:
    """Run a program whose shuffle is the whole source, and check its result."""
    job = await api.submit("by_key", source, reducers=reducers)
    status = await api.end_of(job, within_s=within_s)
    assert status["state"] == "SUCCEEDED", status["error"]
    assert status["resultRows"] == rows
    counts = await api.ask(
        "query Rows($id: ID!) { job(id: $id) { result { rows(first: 3) { edges { node } } } } }",
        id=job,
    )
    for edge in counts["job"]["result"]["rows"]["edges"]:
        length = WIDTH - 12
        is_twice = int(edge["node"]["key"][1:]) < TWICE
        assert edge["node"]["value"] == length * (2 if is_twice else 1)
    return job


async def run_query(api: Api, source: str, *, within_s: float) -> str:
    """Run a query whose shuffle is the whole source, and check its result."""
    job = await submit_sql(api, REPEATED, source)
    status = await api.end_of(job, within_s=within_s)
    assert status["state"] == "SUCCEEDED", status["error"]
    assert status["resultRows"] == TWICE
    result: list[dict[str, Any]] = status["result"] or []
    assert all(row["n"] == 2 for row in result)
    return job


async def nothing_is_left(service: RunningService, api: Api, job: str) -> None:
    result = await api.result(job)
    kept = len([result["manifest"], *result["files"], *result["listings"]])
    await eventually_async(lambda: len(blobs_of(service, job)) == kept, within_s=20)
    await eventually_async(lambda: not pieces_in_redis(service, job), within_s=20)
    await eventually_async(lambda: not scratch_of(service), within_s=20)


def assert_small(peaks: Peaks, *, process_mb: int, worker_mb: int) -> None:
    assert max(peaks.processes.values()) < process_mb * MB
    assert max(peaks.workers.values()) < worker_mb * MB
    assert peaks.redis < 256 * MB


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_a_program_shuffles_more_than_memory(
    service: RunningService, api: Api, size_bytes: int
) -> None:
    rows = size_bytes // WIDTH
    source = source_of(service, rows)
    is_small = size_bytes < 1024**3

    with watched(service) as peaks:
        job = await run_program(
            api, source, rows, reducers=1 if is_small else 8, within_s=50 if is_small else 1000
        )

    assert_small(peaks, process_mb=500 if is_small else 1073, worker_mb=700 if is_small else 1073)
    await nothing_is_left(service, api, job)


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_a_query_shuffles_more_than_memory(
    service: RunningService, api: Api, size_bytes: int
) -> None:
    source = source_of(service, size_bytes // WIDTH)
    is_small = size_bytes < 1024**3

    with watched(service) as peaks:
        job = await run_query(api, source, within_s=50 if is_small else 1000)

    assert_small(peaks, process_mb=800 if is_small else 1073, worker_mb=1073)
    await nothing_is_left(service, api, job)
