"""A result that cannot be written fails its job, clearly, and leaves nothing half-written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.support.client import Api, pairs_of
from tests.support.killing import workers_of
from tests.support.running import RunningService, free_port, running_service

pytestmark = pytest.mark.anyio

ROWS: Final = 20_000
LIMIT_BYTES: Final = 200_000
TWICE: Final = {"maxAttempts": 2, "backoffMs": 0}
REDRIVE: Final = "mutation Again($id: ID!) { redriveJob(input: {id: $id}) { __typename } }"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "large.txt").write_text("".join(f"line {number:06}\n" for number in range(ROWS)))
    return folder


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of one megabyte at *folder*; skips where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def fails_clearly(api: Api, blobs: Path, reason: str) -> str:
    """Run a job whose result is too large, and see that nothing of it was written."""
    job = await api.submit("lines", "large.txt", failurePolicy=TWICE)
    status = await api.end_of(job)
    assert (status["state"], status["result"]) == ("FAILED", None)
    error = status["error"]
    assert (error["code"], error["taskId"]) == ("UNAVAILABLE", "map-0")
    assert error["message"].startswith(f"blob jobs/{job}/result/map-0-a2.jsonl: ")
    assert reason in error["message"]
    assert "\n" not in error["message"]
    assert files_in(blobs / "jobs" / job / "result") == []
    return job


async def goes_on(api: Api, job: str) -> None:
    """Have the job go on when there is room."""
    answer = await api.ask(REDRIVE, id=job)
    assert answer["redriveJob"]["__typename"] == "JobActionSuccess"
    status = await api.end_of(job)
    assert (status["state"], status["resultRows"]) == ("SUCCEEDED", ROWS)


async def test_a_full_disk_fails_the_job_which_goes_on_when_there_is_room(
    tmp_path: Path, sources: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk, running(tmp_path, sources, disk) as service:
        filler = disk / "filler"
        filler.write_bytes(b"x" * 900_000)
        async with Api(service.url) as api:
            job = await fails_clearly(api, disk, "No space left on device")
            assert pairs_of(await api.run("wordcount", ["a b a"])) == {"a": 2, "b": 1}

            filler.unlink()
            enlarge(disk)
            await goes_on(api, job)
        assert "Traceback" not in service.log


async def test_a_quota_fails_the_job_which_goes_on_when_it_is_raised(
    tmp_path: Path, sources: Path
) -> None:
    with running(tmp_path, sources, tmp_path / "disk") as service:
        limit_files(service, LIMIT_BYTES)
        async with Api(service.url) as api:
            job = await fails_clearly(api, tmp_path / "disk", "File too large")
            assert pairs_of(await api.run("wordcount", ["a b a"])) == {"a": 2, "b": 1}

            limit_files(service, psutil.RLIM_INFINITY)
            await goes_on(api, job)


def running(tmp_path: Path, sources: Path, results: Path) -> AbstractContextManager[RunningService]:
    settings = {"FANFOLD_SQL": "off", "FANFOLD_RESULT_URI": str(results)}
    return running_service(tmp_path / "data", sources, port=free_port(), settings=settings)


def limit_files(service: RunningService, size_bytes: int) -> None:
    """Let no task process write a larger file than this."""
    for worker in workers_of(service):
        for process in (worker, *worker.children()):
            _, most = process.rlimit(psutil.RLIMIT_FSIZE)
            process.rlimit(psutil.RLIMIT_FSIZE, (size_bytes, most))
