"""Clients that people use, against a real service, as ``docs/CLIENTS.md`` tells how."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.comings_and_goings import ComingAndGoingApi, cluster_in
from tests.support.running import RunningService, fanfold
from tests.support.told import CLIENTS, Command, Told, telling

pytestmark = pytest.mark.anyio

POEM: Final = ["the quick brown fox", "jumps over the lazy dog", "the end"]
CROWD: Final = ["ada", "bob", "cyd", "dan"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComingAndGoingApi]:
    with cluster_in(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def key(guarded: RunningService) -> str:
    """A key of a tenant of the guarded service."""
    environ = {"FANFOLD_DATA_DIR": str(guarded.data_dir)}
    made = fanfold("key", "create", "--tenant", "acme", environ=environ)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_submits_a_job_follows_it_to_the_end_and_reads_its_rows(
    command: Command, service: RunningService
) -> None:
    job = {"program": "wordcount", "source": {"inline": POEM}, "batching": {"maxItems": 1}}
    async with telling(command(service.url, job)) as told:
        await told.end()

    versions = [state["version"] for state in told.states]
    assert versions == sorted(set(versions))
    assert told.states[-1]["state"] == "SUCCEEDED"
    assert told.states[-1]["id"] == told.job
    assert counts_in(told) == Counter(word for line in POEM for word in line.split())


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_with_a_key_is_let_in(
    command: Command, guarded: RunningService, key: str
) -> None:
    job = {"program": "wordcount", "source": {"inline": POEM}}
    async with telling(command(guarded.url, job), token=key) as told:
        await told.end()

    assert counts_in(told) == Counter(word for line in POEM for word in line.split())


@pytest.mark.timeout(150)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_survives_restarts_of_the_api_and_ends_with_the_terminal_state(
    command: Command, api: ComingAndGoingApi, tmp_path: Path
) -> None:
    job = {
        "program": "crowd",
        "params": {"folder": str(tmp_path)},
        "source": {"inline": CROWD},
        "batching": {"maxItems": 1},
        "idempotencyKey": str(tmp_path),
    }
    async with telling(command(api.url, job)) as told:
        await told.until(lambda it: it.states)
        let_go(tmp_path, "ada")
        await told.until(lambda it: it.states[-1]["map"]["succeeded"] == 1)

        await asyncio.to_thread(api.end, signal.SIGTERM)
        let_go(tmp_path, "bob")
        await asyncio.to_thread(api.start)
        await told.until(lambda it: it.states[-1]["map"]["succeeded"] == 2)

        await asyncio.to_thread(api.end, signal.SIGKILL)
        let_go(tmp_path, "all")
        await asyncio.to_thread(api.start)
        await told.end()

    versions = [state["version"] for state in told.states]
    assert versions == sorted(versions)
    assert [state["state"] for state in told.states].count("SUCCEEDED") == 1
    assert told.states[-1]["state"] == "SUCCEEDED"
    assert counts_in(told) == Counter(CROWD)


def let_go(folder: Path, name: str) -> None:
    (folder / f"{name}.go").touch()


def counts_in(told: Told) -> dict[Any, Any]:
    assert told.rows is not None
    return {row["key"]: row["value"] for row in told.rows}
