"""Jobs behind AppSync: submitted, followed and read by gql, run by Step Functions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import pytest
from gql import Client, GraphQLRequest
from gql.transport.appsync_auth import AppSyncApiKeyAuthentication, AppSyncJWTAuthentication
from gql.transport.appsync_websockets import AppSyncWebsocketsTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport

from examples.python.follow_appsync import Api, follow
from tests.support.appsync import API_KEY, ISSUER, AppSync, Dropped, running_appsync
from tests.support.aws.deployment import API_KEY_SCOPES, Deployment, running_deployment
from tests.support.killing import Stage
from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError
from tests.support.running import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("aws")]

SUBMIT: Final = """
  mutation Submit($input: SubmitJobInput!) {
    submitJob(input: $input) {
      __typename
      ... on SubmitJobSuccess { created job { id run status { state version } } }
      ... on UserError { code message path }
      ... on ValidationError { issues { path message } }
    }
  }
"""
READ: Final = """
  query Read($id: ID!) {
    job(id: $id) {
      id spec tags submittedBy allowedActions
      status { state resultRows items { total succeeded } }
      counters { name value }
      tasks(first: 10) { totalCount edges { node { id kind state attempts } } }
      failures { totalCount }
      result {
        rowCount exact columns { name type } inline
        rows(first: 2) { edges { node } pageInfo { hasNextPage endCursor } }
        files { name url byteSize }
        manifest { name url }
      }
    }
  }
"""
CANCEL: Final = """
  mutation Cancel($id: ID!) {
    cancelJob(id: $id) { __typename ... on JobActionSuccess { job { status { state } } } }
  }
"""
JOB: Final = "subscription Job($id: ID!) { jobStatus(id: $id) { version state result } }"
FEED: Final = "subscription Feed($tag: String) { jobFeed(tag: $tag) { id tenant tags state } }"
ANSWERS_WITHIN_S: Final = 60
"""A function's first call loads all of it."""
ENV: Final = {"TENANT": "main", "SCOPES": API_KEY_SCOPES, "TENANT_CLAIM": "tenant"}


@pytest.fixture
def anyio_backend() -> str:
    """Not uvloop, which cannot close what gql may leave of a connection."""
    return "asyncio"


@pytest.fixture(scope="module")
def node() -> Node:
    try:
        return Node.find()
    except NoNodeError as exc:
        do_without(str(exc))


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Deployment]:
    """The template, with AppSync on *port*."""
    folder = tmp_path_factory.mktemp("stack")
    with running_deployment(folder, appsync_url=f"http://127.0.0.1:{port}/graphql") as running:
        yield running


@pytest.fixture(scope="class")
def appsync(
    deployment: Deployment, node: Node, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppSync]:
    with simulated(deployment, node, port, tmp_path_factory.mktemp("appsync")) as running:
        yield running


@pytest.fixture
async def session(appsync: AppSync) -> AsyncIterator[Any]:
    async with client(appsync) as open_session:
        yield open_session


def simulated(
    deployment: Deployment, node: Node, port: int, folder: Path, *, dropped: Dropped | None = None
) -> Any:
    return running_appsync(
        folder,
        node,
        aws=deployment.stack.endpoint,
        table=deployment.ids["Table"],
        function=deployment.ids["Resolver"],
        env=ENV,
        resolvers=deployment.resolvers,
        dropped=dropped,
        port=port,
    )


def client(appsync: AppSync, **headers: str) -> Client:
    transport = HTTPXAsyncTransport(
        url=appsync.url, headers=headers or {"x-api-key": API_KEY}, timeout=ANSWERS_WITHIN_S
    )
    return Client(transport=transport, execute_timeout=ANSWERS_WITHIN_S)


def api_of(appsync: AppSync) -> Api:
    auth = AppSyncApiKeyAuthentication(host=f"127.0.0.1:{appsync.port}", api_key=API_KEY)
    return Api(appsync.url, auth, {"x-api-key": API_KEY}, appsync.realtime_url)


def token_of(tenant: str, scope: str = "read submit") -> str:
    claims = {"iss": ISSUER, "sub": "ada", "tenant": tenant, "scope": scope}
    return jwt.encode(claims, "a secret that the simulator does not ask for", algorithm="HS256")


async def subscribed(
    appsync: AppSync, document: str, *, token: str | None = None, **variables: Any
) -> AsyncGenerator[dict[str, Any], None]:
    host = f"127.0.0.1:{appsync.port}"
    auth = (
        AppSyncApiKeyAuthentication(host=host, api_key=API_KEY)
        if token is None
        else AppSyncJWTAuthentication(host=host, jwt=token)
    )
    transport = AppSyncWebsocketsTransport(url=appsync.realtime_url, auth=auth)
    async with Client(transport=transport) as feed:
        async for event in feed.subscribe(GraphQLRequest(document, variable_values=variables)):
            yield event


async def asked(session: Any, document: str, **variables: Any) -> Any:
    return await session.execute(GraphQLRequest(document, variable_values=variables))


async def submitted(session: Any, **data: Any) -> str:
    source = {"inline": [json.dumps(line) for line in data.pop("lines", ["a b a", "b"])]}
    answer = (await asked(session, SUBMIT, input={"source": source, **data}))["submitJob"]
    assert answer["__typename"] == "SubmitJobSuccess", answer
    return str(answer["job"]["id"])


async def followed(appsync: AppSync, job: str) -> list[dict[str, Any]]:
    async with aclosing(follow(api_of(appsync), job)) as states:
        return [status async for status in states]


class TestAJob:
    async def test_it_is_submitted_followed_and_its_result_fetched(
        self, session: Any, appsync: AppSync
    ) -> None:
        job = await submitted(session, program="wordcount", tags=["nightly"])
        states = await followed(appsync, job)
        found = (await asked(session, READ, id=job))["job"]

        versions = [status["version"] for status in states]
        assert versions == sorted(set(versions))
        assert states[-1]["state"] == "SUCCEEDED"
        rows = [json.loads(row) for row in states[-1]["result"]]
        assert {row["key"]: row["value"] for row in rows} == {"a": 2, "b": 2}
        assert json.loads(found["spec"])["program"] == "wordcount"
        assert found["tags"] == ["nightly"]
        assert found["result"]["exact"]
        [edge, *_] = found["result"]["rows"]["edges"]
        assert json.loads(edge["node"]).keys() == {"key", "value"}
        assert {task["node"]["state"] for task in found["tasks"]["edges"]} == {"SUCCEEDED"}
        async with httpx.AsyncClient() as anybody:
            file = await anybody.get(found["result"]["files"][0]["url"])
        assert len(file.text.splitlines()) == 2

    async def test_rows_are_read_page_by_page(self, session: Any, appsync: AppSync) -> None:
        lines = [f"w{n}" for n in range(5)]
        job = await submitted(session, program="wordcount", lines=lines)
        await followed(appsync, job)
        page = """query Page($id: ID!, $after: String) { job(id: $id) { result {
            rows(first: 2, after: $after) { edges { node } pageInfo { hasNextPage endCursor } }
        } } }"""
        keys, after = [], None
        while True:
            answer = await asked(session, page, id=job, after=after)
            rows = answer["job"]["result"]["rows"]
            keys += [json.loads(edge["node"])["key"] for edge in rows["edges"]]
            if not rows["pageInfo"]["hasNextPage"]:
                break
            after = rows["pageInfo"]["endCursor"]

        assert sorted(keys) == lines

    async def test_a_wrong_input_is_data_with_every_problem(self, session: Any) -> None:
        answer = (await asked(session, SUBMIT, input={"program": "no", "source": {"inline": []}}))[
            "submitJob"
        ]

        assert answer["__typename"] == "ValidationError"
        assert answer["code"] == "VALIDATION_FAILED"
        assert ["input", "program"] in [issue["path"] for issue in answer["issues"]]

    async def test_it_can_be_cancelled(
        self, session: Any, appsync: AppSync, tmp_path: Path
    ) -> None:
        stage = Stage(tmp_path / "stage")
        params = json.dumps(stage.params("map"))
        job = await submitted(session, program="held", lines=["hold"], params=params)
        answer = await asked(session, CANCEL, id=job)
        states = await followed(appsync, job)

        assert answer["cancelJob"]["__typename"] == "JobActionSuccess"
        assert states[-1]["state"] == "CANCELLED"


class TestFollowers:
    async def test_the_end_is_told_without_asking(
        self, session: Any, appsync: AppSync, tmp_path: Path
    ) -> None:
        stage = Stage(tmp_path / "stage")
        params = json.dumps(stage.params("map"))
        job = await submitted(session, program="held", lines=["hold"], params=params)
        async with aclosing(subscribed(appsync, JOB, id=job)) as events:
            first = asyncio.ensure_future(anext(events))
            await stage.begun()
            stage.let_go()
            found = [(await first)["jobStatus"]]
            while found[-1]["state"] != "SUCCEEDED":
                found.append((await anext(events))["jobStatus"])

        assert json.loads(found[-1]["result"][0]) == {"key": "hold", "value": 1}

    async def test_a_feed_brings_the_tenants_jobs_that_have_the_tag(
        self, session: Any, appsync: AppSync
    ) -> None:
        async with aclosing(subscribed(appsync, FEED, tag="mine")) as events:
            first = asyncio.ensure_future(anext(events))
            while not first.done():  # those before the subscription is in force are not told
                await submitted(session, program="wordcount", tags=["others"])
                await submitted(session, program="wordcount", tags=["mine", "x"])
            found = [first.result(), await anext(events)]

        assert [event["jobFeed"]["tags"] for event in found] == [["mine", "x"]] * 2
        assert {event["jobFeed"]["tenant"] for event in found} == {"main"}


class TestLosses:
    async def test_with_every_twentieth_event_lost_every_follower_ends(
        self, deployment: Deployment, node: Node, port: int, tmp_path: Path
    ) -> None:
        dropped = Dropped(share=0.05, seed=7)
        with simulated(deployment, node, port, tmp_path, dropped=dropped) as appsync:
            async with client(appsync) as session:
                jobs = [await submitted(session, program="wordcount") for _ in range(6)]
            for job in jobs:
                assert (await followed(appsync, job))[-1]["state"] == "SUCCEEDED", dropped

    async def test_one_that_hears_nothing_at_all_ends_by_reading(
        self, deployment: Deployment, node: Node, port: int, tmp_path: Path
    ) -> None:
        with simulated(deployment, node, port, tmp_path, dropped=Dropped(1, 1)) as appsync:
            async with client(appsync) as session:
                job = await submitted(session, program="wordcount")
            assert (await followed(appsync, job))[-1]["state"] == "SUCCEEDED"

    async def test_one_goes_on_when_the_api_comes_back(
        self, deployment: Deployment, node: Node, port: int, tmp_path: Path
    ) -> None:
        stage = Stage(tmp_path / "stage")
        params = json.dumps(stage.params("map"))
        with simulated(deployment, node, port, tmp_path) as appsync:
            async with client(appsync) as session:
                job = await submitted(session, program="held", lines=["hold"], params=params)
            states = follow(api_of(appsync), job)
            seen = [await anext(states)]
        with simulated(deployment, node, port, tmp_path):
            stage.let_go()
            seen += [status async for status in states]

        assert seen[-1]["state"] == "SUCCEEDED"


class TestRights:
    async def test_a_wrong_key_is_refused(self, appsync: AppSync) -> None:
        async with client(appsync, **{"x-api-key": "wrong"}) as session:
            with pytest.raises(TransportQueryError, match="Invalid API key"):
                await asked(session, "{ service { version } }")

    async def test_only_iam_publishes(self, session: Any) -> None:
        document = "mutation { publishJobStatus(input: {id: 1}) { id } }"
        with pytest.raises(TransportQueryError):
            await asked(session, document)

    async def test_a_job_of_another_tenant_is_neither_read_nor_followed(
        self, session: Any, appsync: AppSync
    ) -> None:
        job = await submitted(session, program="wordcount")
        token = token_of("other")
        async with client(appsync, authorization=token) as other:
            assert (await asked(other, READ, id=job))["job"] is None
        with pytest.raises(TransportQueryError, match="NOT_FOUND"):
            await anext(subscribed(appsync, JOB, token=token, id=job))

    async def test_who_may_not_submit_is_told_so_as_data(self, appsync: AppSync) -> None:
        token = token_of("main", scope="read")
        async with client(appsync, authorization=token) as session:
            given = {"program": "wordcount", "source": {"inline": ['"a"']}}
            answer = (await asked(session, SUBMIT, input=given))["submitJob"]

        assert answer["__typename"] == "ForbiddenError"
