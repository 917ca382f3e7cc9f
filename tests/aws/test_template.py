"""The template, deployed: what it creates, and jobs over its REST and its WebSocket API.

Functions have the rights of their roles, and no others.
"""

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

from adapters.dynamodb.items import meta_key
from engine.job import JobId
from tests.support.aws.deployment import SOURCES, Deployment, running_deployment
from tests.support.killing import Stage
from tests.support.waiting import eventually_async

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("aws")]

ANSWERS_WITHIN_S: Final = 60
"""A function's first call loads all of it."""
OF_THE_TEST: Final = ("W1020", "W2001")
"""A ``Fn::Sub`` whose variable was a loop's; and no function is an image here."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running_deployment(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def token(deployment: Deployment) -> str:
    return deployment.fanfold("key", "create", "--tenant", "main")


@pytest.fixture
async def rest(deployment: Deployment, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=deployment.rest_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=ANSWERS_WITHIN_S,
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
async def socket(deployment: Deployment) -> AsyncIterator[ClientConnection]:
    async with connect(deployment.socket_url, proxy=None) as connection:
        yield connection


async def submitted(rest: httpx.AsyncClient, **spec: Any) -> str:
    answer = await rest.post("/jobs", json=spec)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def state_of(rest: httpx.AsyncClient, job: str) -> dict[str, Any]:
    """How a job has ended."""
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        answer = await rest.get(f"/jobs/{job}", params={"waitMs": 10_000})
        while answer.status_code == 202:
            answer = await rest.get(f"/jobs/{job}", params={"waitMs": 10_000})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def follow(socket: ClientConnection, **wanted: str) -> None:
    await socket.send(json.dumps({"action": "follow", **wanted}))


async def told(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        return dict(json.loads(await socket.recv()))


class TestTheStack:
    def test_everything_is_created_but_spark(self, deployment: Deployment) -> None:
        wanted = {
            name
            for name, found in deployment.resources.items()
            if found.get("Condition") != "HasSpark"
        }

        assert set(deployment.ids) == wanted

    def test_cfn_lint_has_nothing_to_say_about_what_the_transforms_make(
        self, deployment: Deployment, tmp_path: Path
    ) -> None:
        path = tmp_path / "processed.json"
        path.write_text(json.dumps(deployment.template))
        lint = Path(sys.executable).with_name("cfn-lint")
        command = [str(lint), str(path), "--ignore-checks", *OF_THE_TEST]

        ran = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (ran.returncode, ran.stdout) == (0, "")


class TestRest:
    async def test_a_job_is_submitted_waited_for_and_its_rows_fetched_from_s3(
        self, rest: httpx.AsyncClient, deployment: Deployment
    ) -> None:
        words = " ".join(f"word{n}-{'x' * 90}" for n in range(1_000))
        deployment.stack.put(SOURCES, "words/a.txt", words.encode())

        accepted = await rest.post(
            "/jobs",
            json={
                "program": "wordcount",
                "source": {"files": {"uris": [f"s3://{SOURCES}/words/"]}},
            },
        )
        state = await state_of(rest, accepted.json()["id"])
        result = await rest.get(f"{accepted.headers['location']}/result")
        rows = await rest.get(result.headers["location"], headers={"Authorization": ""})

        assert accepted.status_code == 202
        assert accepted.headers["retry-after"] == "1"
        assert state["state"] == "SUCCEEDED", state
        assert (state["resultRows"], state["result"]) == (1_000, None)
        assert result.status_code == 303
        assert rows.status_code == 200
        assert len(rows.text.splitlines()) == 1_000

    async def test_sql_is_checked_and_run(
        self, rest: httpx.AsyncClient, deployment: Deployment
    ) -> None:
        deployment.stack.put(SOURCES, "sales/a.csv", b"city,amount\nOslo,1\nOslo,2\n")
        source = {"files": {"uris": [f"s3://{SOURCES}/sales/"]}}

        job = await submitted(rest, sql="SELECT sum(amount) AS amount FROM input", source=source)
        wrong = await rest.post("/jobs", json={"sql": "SELECT no FROM input", "source": source})
        state = await state_of(rest, job)

        assert state["result"] == [{"amount": 3}], state
        assert wrong.status_code == 422

    async def test_one_without_a_key_is_refused(self, rest: httpx.AsyncClient) -> None:
        answer = await rest.get("/jobs/j-1", headers={"Authorization": ""})

        assert answer.status_code == 401

    async def test_an_unknown_job_is_not_found(self, rest: httpx.AsyncClient) -> None:
        answer = await rest.get("/jobs/j-6axpnx5yi2ozxc2ib6zsdz35da/result")

        assert answer.status_code == 404


class TestTheWebSocketApi:
    async def test_a_follower_gets_the_present_state_then_newer_ones_and_the_end(
        self, rest: httpx.AsyncClient, socket: ClientConnection, token: str, tmp_path: Path
    ) -> None:
        stage = Stage(tmp_path / "stage")
        job = await submitted(
            rest, program="held", params=stage.params("map"), source={"inline": ["hold"]}
        )
        await stage.begun()
        await follow(socket, token=token, job=job)
        states = [(await told(socket))["state"]]
        stage.let_go()
        while states[-1]["state"] != "SUCCEEDED":
            states.append((await told(socket))["state"])

        assert states[0]["state"] == "RUNNING"
        assert states[-1]["result"] == [{"key": "hold", "value": 1}]
        assert {state["id"] for state in states} == {job}

    async def test_a_feed_brings_jobs_that_have_the_tag(
        self, rest: httpx.AsyncClient, socket: ClientConnection, token: str
    ) -> None:
        await follow(socket, token=token, tag="mine")
        said = await told(socket)
        source = {"inline": ["a"]}
        await submitted(rest, program="wordcount", source=source)
        mine = await submitted(rest, program="wordcount", source=source, tags=["mine"])
        states: list[dict[str, Any]] = []
        while not states or states[-1]["state"] != "SUCCEEDED":
            states.append((await told(socket))["state"])

        assert said == {"type": "following"}
        assert {state["id"] for state in states} == {mine}

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ("no JSON", "VALIDATION_FAILED"),
            ('{"action": "follow", "token": "fan_no"}', "UNAUTHENTICATED"),
        ],
    )
    async def test_what_cannot_be_followed_is_said(
        self, socket: ClientConnection, message: str, code: str
    ) -> None:
        await socket.send(message)

        answer = await told(socket)

        assert (answer["type"], answer["error"]["code"]) == ("error", code)

    async def test_who_has_gone_is_forgotten(
        self, rest: httpx.AsyncClient, deployment: Deployment, token: str
    ) -> None:
        async with connect(deployment.socket_url, proxy=None) as leaving:
            await follow(leaving, token=token, tag="left")
            await told(leaving)

        def is_forgotten() -> bool:
            return not [
                item
                for item in deployment.table.query("TENANT#main", prefix="SOCKET#")
                if item.get("tag") == "left"
            ]

        assert await eventually_async(is_forgotten, within_s=ANSWERS_WITHIN_S)


class TestKeys:
    async def test_appsync_is_told_who_shows_a_key(
        self, deployment: Deployment, token: str
    ) -> None:
        known = deployment.call("Authorizer", {"authorizationToken": token})
        unknown = deployment.call("Authorizer", {"authorizationToken": token[:-1]})

        assert known["isAuthorized"]
        assert known["resolverContext"]["tenant"] == "main"
        assert unknown == {"isAuthorized": False}

    async def test_a_revoked_key_is_refused(
        self, rest: httpx.AsyncClient, deployment: Deployment
    ) -> None:
        key = deployment.fanfold("key", "create", "--tenant", "main")
        headers = {"Authorization": f"Bearer {key}"}
        before = await rest.get("/jobs/j-1", headers=headers)
        deployment.fanfold("key", "revoke", key)
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while (await rest.get("/jobs/j-1", headers=headers)).status_code != 401:
                pass

        assert before.status_code == 404


class TestTheCaretaker:
    async def test_a_job_out_of_time_is_ended(
        self, rest: httpx.AsyncClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        stage = Stage(tmp_path / "stage")
        job = await submitted(
            rest,
            program="held",
            params=stage.params("map"),
            source={"inline": ["hold"]},
            timeoutSeconds=1,
        )
        await stage.begun()
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while (await rest.get(f"/jobs/{job}", params={"waitMs": 500})).status_code == 202:
                deployment.call("Caretaker")
        stage.let_go()

        assert (await state_of(rest, job))["state"] == "TIMED_OUT"

    async def test_a_deleted_job_is_erased_with_its_files(
        self, rest: httpx.AsyncClient, deployment: Deployment
    ) -> None:
        job = await submitted(rest, program="wordcount", source={"inline": ["a"]})
        await state_of(rest, job)
        event = {
            "parent": "Mutation",
            "field": "deleteJob",
            "arguments": {"id": job},
            "identity": {"userArn": "arn:aws:iam::000000000000:user/ada"},
        }
        before = deployment.blobs_of(job)

        answer = deployment.call("Resolver", event)
        deployment.call("Caretaker")

        assert answer["data"]["__typename"] == "DeleteJobSuccess", answer
        assert before
        assert deployment.blobs_of(job) == []
        assert deployment.table.get(meta_key(JobId(job))) is None
        assert (await rest.get(f"/jobs/{job}/result")).status_code == 410
