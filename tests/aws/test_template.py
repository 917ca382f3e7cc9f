"""The template, deployed: what it creates, and jobs over REST and the WebSocket API of the stack."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from adapters.dynamodb_items import Due, due_key, meta_key
from tests.support.aws.deployment import SOURCES, Deployment, running_deployment
from tests.support.killing import Stage
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

ANSWERS_WITHIN_S: Final = 60
"""A function's first call loads all of it."""
OF_TESTS: Final = ("W1020", "W2001")
"""``Fn::Sub`` of what a loop has filled in; and images, of which there are none."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running_deployment(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def token(deployment: Deployment) -> str:
    return deployment.fanfold("key", "create", "--tenant", "main")


@pytest.fixture
async def rest(deployment: Deployment, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=deployment.rest_url, headers=headers, timeout=ANSWERS_WITHIN_S, trust_env=False
    ) as client:
        yield client


@pytest.fixture
async def socket(deployment: Deployment) -> AsyncIterator[ClientConnection]:
    async with connect(deployment.socket_url, proxy=None) as connection:
        yield connection


async def submitted(rest: httpx.AsyncClient, **spec: Any) -> str:
    answer = await rest.post("/jobs", json=spec)
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["jobId"])


async def ended(rest: httpx.AsyncClient, job: str) -> dict[str, Any]:
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        while (answer := await rest.get(f"/jobs/{job}", params={"waitMs": 10_000})).status_code == 202:
            pass
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def told(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        return dict(json.loads(await socket.recv()))


def test_everything_is_created_but_spark(deployment: Deployment) -> None:
    wanted = {
        name for name, found in deployment.resources.items() if found.get("Condition") != "HasSpark"
    }

    assert set(deployment.ids) == wanted


async def test_x(rest, deployment):
    answer = await rest.post("/jobs", json={"program": "wordcount", "source": {"inline": ["a b", "b"]}})
    print(answer.status_code, answer.headers, answer.text)
    job = answer.json()["id"]
    print(await ended(rest, job))
    answer = await rest.get(f"/jobs/{job}/result")
    print(answer.status_code, answer.headers, answer.text)
    assert 0
