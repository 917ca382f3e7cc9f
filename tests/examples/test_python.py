"""The clients of ``examples/python``, run as a reader would, and across restarts."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from gql.transport.exceptions import TransportQueryError

from examples.python.follow import follow
from examples.python.rest import Jobs
from tests.support.client import Api
from tests.support.comings_and_goings import ComingAndGoingApi, cluster_in
from tests.support.running import (
    RunningService,
    environment,
    fanfold,
    free_port,
    running_service,
    url_of,
)

pytestmark = pytest.mark.anyio

States = Callable[[str, str], AsyncIterator[dict[str, Any]]]
TO_BE: Final = {"to": 2, "be": 2, "or": 1, "not": 1}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComingAndGoingApi]:
    with cluster_in(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def run(name: str, *words: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"examples.python.{name}", *words],
        env=environment({"FANFOLD_TOKEN": token} if token else {}),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def run_example(name: str, url: str, *lines: str, token: str | None = None) -> list[str]:
    done = run(name, url, *lines, token=token)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["count_words", "rest"])
def test_an_example_submits_follows_and_prints_the_rows(service: RunningService, name: str) -> None:
    job, *told = run_example(name, service.url, "to be or", "not to be")

    assert job.startswith("j-")
    states = [line.split()[0] for line in told if "  map " in line]
    assert states[-1] == "SUCCEEDED"
    rows = (line.split() for line in told[len(states) :])
    assert {word: int(count) for word, count in rows} == TO_BE


@pytest.mark.parametrize("name", ["count_words", "rest"])
def test_an_example_says_who_it_is(tmp_path: Path, name: str) -> None:
    settings = {"FANFOLD_AUTH": "keys", "FANFOLD_SQL": "off"}
    data = tmp_path / "data"
    with running_service(data, tmp_path, port=free_port(), workers=1, settings=settings) as it:
        environ = {"FANFOLD_DATA_DIR": str(it.data_dir)}
        key = fanfold("key", "create", "--tenant", "acme", environ=environ).stdout.strip()

        assert "not 1" in run_example(name, it.url, "to be or not to be", token=key)


@pytest.mark.parametrize("name", ["count_words", "rest"])
def test_an_example_that_finds_nobody_says_so_in_a_line(name: str) -> None:
    url = url_of(free_port())

    done = run(name, url, "to be or not to be")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{url}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["count_words", "rest"])
def test_an_example_without_words_tells_which_it_wants(name: str) -> None:
    done = run(name)

    assert done.returncode == 1
    assert done.stderr == f"usage: python -m examples.python.{name} ADDRESS LINE...\n"


async def test_following_with_a_token_that_is_not_valid_is_refused(tmp_path: Path) -> None:
    settings = {"FANFOLD_AUTH": "keys", "FANFOLD_SQL": "off"}
    data = tmp_path / "data"
    with running_service(data, tmp_path, port=free_port(), workers=1, settings=settings) as it:
        with pytest.raises(PermissionError):
            [status async for status in follow(f"{it.url}/graphql", "j-1", token="wrong")]


async def test_a_job_that_is_not_there_is_told(service: RunningService) -> None:
    with pytest.raises(TransportQueryError):
        [status async for status in follow(f"{service.url}/graphql", "j-1")]


async def follow_with_gql(url: str, job: str) -> AsyncIterator[dict[str, Any]]:
    async with aclosing(follow(f"{url}/graphql", job)) as states:
        async for status in states:
            yield status


async def follow_with_rest(url: str, job: str) -> AsyncIterator[dict[str, Any]]:
    with httpx.Client(base_url=url, timeout=40, trust_env=False) as http:
        states = Jobs(http).follow(job)
        while (status := await asyncio.to_thread(next, states, None)) is not None:
            yield status


@pytest.mark.timeout(150)
@pytest.mark.parametrize("states_of", [follow_with_gql, follow_with_rest])
async def test_a_follower_goes_on_over_restarts_to_the_end(
    cluster: ComingAndGoingApi, tmp_path: Path, states_of: States
) -> None:
    async with Api(cluster.url) as api:
        job = await api.submit(
            "crowd", ["ada", "bob"], params={"folder": str(tmp_path)}, batching={"maxItems": 1}
        )
    seen = []
    for_next = iter([signal.SIGTERM, signal.SIGKILL])
    async for status in states_of(cluster.url, job):
        seen.append(status)
        how = next(for_next, None)
        if how is not None:
            await asyncio.to_thread(cluster.end, how)
            (tmp_path / ("ada.go" if how is signal.SIGTERM else "all.go")).touch()
            await asyncio.to_thread(cluster.start)

    versions = [status["version"] for status in seen]
    assert versions == sorted(set(versions))
    assert seen[-1]["state"] == "SUCCEEDED"
