"""A service that asks who calls: keys, a provider's tokens and viewer tokens, over every way in."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.identity_provider import (
    AUDIENCE,
    ISSUER,
    IdentityProvider,
    identity_provider,
)
from tests.support.peer import peer_of
from tests.support.running import RunningService, fanfold, free_port, running_service

pytestmark = pytest.mark.anyio

ENDS_WITHIN_S = 5.0
VIEWER = "{ viewer { subject tenant scopes } }"
SUBMIT = """mutation($input: SubmitJobInput!) { submitJob(input: $input) {
  __typename
  ... on SubmitJobSuccess { job { id } }
  ... on UserError { code message retryable }
  ... on QuotaExceededError { retryAfterSeconds }
} }"""
TOKEN = """mutation($input: CreateViewerTokenInput!) { createViewerToken(input: $input) {
  __typename
  ... on CreateViewerTokenSuccess { token expiresAt }
  ... on UserError { code message path }
} }"""
FOLLOW = "subscription($id: ID!) { jobStatus(id: $id) { id state } }"
FEED = "subscription { jobFeed { id } }"


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, provider: IdentityProvider
) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("auth")
    settings = {
        "FANFOLD_AUTH": "keys,jwt",
        "FANFOLD_JWKS_URL": provider.url,
        "FANFOLD_JWT_ISSUER": ISSUER,
        "FANFOLD_JWT_AUDIENCE": AUDIENCE,
        "FANFOLD_ALLOWED_HOSTS": "jobs.test",
        "FANFOLD_QUOTA_LIVE_JOBS": "3",
        "FANFOLD_QUOTA_CONNECTIONS": "5",
    }
    with running_service(folder / "data", folder, port=free_port(), settings=settings) as running:
        yield running


def keys(service: RunningService, *args: str) -> str:
    """Run ``fanfold key …`` where the service runs."""
    done = fanfold("key", *args, environ={"FANFOLD_DATA_DIR": str(service.data_dir)})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def new_key(service: RunningService, *args: str, tenant: str = "acme") -> str:
    return keys(service, "create", "--tenant", tenant, *args)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def client_of(service: RunningService, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
    headers = {} if token is None else bearer(token)
    async with httpx.AsyncClient(
        base_url=service.url, headers=headers, trust_env=False, timeout=30
    ) as client:
        yield client


async def ask(
    service: RunningService, token: str | None, query: str, **variables: Any
) -> dict[str, Any]:
    async with client_of(service, token) as client:
        answer = await client.post("/graphql", json={"query": query, "variables": variables})
        body: dict[str, Any] = answer.json()
        return {"status": answer.status_code, **body}


async def submit(service: RunningService, token: str, **given: Any) -> dict[str, Any]:
    job = {"program": "wordcount", "source": {"inline": ["a b"]}, **given}
    answer: dict[str, Any] = (await ask(service, token, SUBMIT, input=job))["data"]["submitJob"]
    return answer


async def waiting_job(service: RunningService, token: str, gate: Path) -> str:
    """Submit a job that runs until somebody writes to *gate*."""
    os.mkfifo(gate)
    answer = await submit(service, token, program="gate", source={"inline": [str(gate)]})
    job: str = answer["job"]["id"]
    return job


async def live_job(client: httpx.AsyncClient) -> str:
    """Return the only job of a tenant that runs, when there is one."""
    query = "{ jobs(first: 1, filter: {states: [RUNNING]}) { edges { node { id } } } }"
    async with asyncio.timeout(20):
        while True:
            answer = await client.post("/graphql", json={"query": query})
            for edge in answer.json()["data"]["jobs"]["edges"]:
                job: str = edge["node"]["id"]
                return job


async def cancel(service: RunningService, token: str, job: str) -> None:
    await ask(service, token, "mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=job)


class TestWhoCalls:
    async def test_a_key_and_a_provider_s_token_each_stand_for_their_tenant(
        self, service: RunningService, provider: IdentityProvider
    ) -> None:
        key = new_key(service, "--name", "loader", "--scope", "read,submit", tenant="umbrella")

        by_key = await ask(service, key, VIEWER)
        by_token = await ask(service, provider.token(), VIEWER)

        assert by_key["data"]["viewer"] == {
            "subject": "loader",
            "tenant": "umbrella",
            "scopes": ["read", "submit"],
        }
        assert by_token["data"]["viewer"]["tenant"] == "acme"

    @pytest.mark.parametrize("token", [None, "nonsense", "fan_0123456789abcdef_" + "x" * 43])
    async def test_nobody_else_gets_in(self, service: RunningService, token: str | None) -> None:
        answer = await ask(service, token, VIEWER)

        assert answer["status"] == 401
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in answer

    @pytest.mark.parametrize("path", ["/jobs/j-1", "/jobs/j-1/result"])
    async def test_rest_asks_as_well(self, service: RunningService, path: str) -> None:
        key = new_key(service)

        async with client_of(service, None) as stranger, client_of(service, key) as caller:
            assert (await stranger.get(path)).status_code == 401
            assert (await caller.get(path)).status_code == 404

    async def test_health_is_for_all(self, service: RunningService) -> None:
        async with client_of(service, None) as stranger:
            assert (await stranger.get("/livez")).status_code == 200

    async def test_the_service_answers_to_its_own_names_alone(
        self, service: RunningService
    ) -> None:
        key = new_key(service)
        async with client_of(service, key) as client:
            answers = [
                await client.post("/graphql", json={"query": VIEWER}, headers={"Host": host})
                for host in ("jobs.test", "evil.test")
            ]

        assert [answer.status_code for answer in answers] == [200, 400]

    async def test_a_socket_takes_what_it_is_given(
        self, service: RunningService, provider: IdentityProvider
    ) -> None:
        key = new_key(service)
        for payload in (
            {"Authorization": f"Bearer {key}"},
            {"token": key},
            {"token": provider.token()},
        ):
            async with peer_of(service.url) as peer:
                await peer.init(**payload)
                answer = await peer.ask(VIEWER)
                assert answer["data"]["viewer"]["tenant"] == "acme"

    async def test_a_socket_without_a_token_is_closed(self, service: RunningService) -> None:
        for payload in ({}, {"token": "nonsense"}, {"Authorization": "Basic x"}):
            async with peer_of(service.url) as peer:
                await peer.send(type="connection_init", payload=payload)
                assert (await peer.closed()).code == 4403

    async def test_a_missing_scope_is_told(self, service: RunningService) -> None:
        reader = new_key(service, "--scope", "read")

        refused = await submit(service, reader)
        async with client_of(service, reader) as client:
            rest = await client.post(
                "/jobs", json={"program": "wordcount", "source": {"inline": ["a"]}}
            )

        assert (refused["__typename"], refused["code"]) == ("ForbiddenError", "FORBIDDEN")
        assert "'submit'" in refused["message"]
        assert rest.status_code == 403


class TestEnds:
    async def test_a_revoked_key_closes_its_sockets(
        self, service: RunningService, tmp_path: Path
    ) -> None:
        key, other = new_key(service), new_key(service)
        job = await waiting_job(service, other, tmp_path / "gate")
        async with peer_of(service.url) as peer, peer_of(service.url) as spared:
            for socket, token in ((peer, key), (spared, other)):
                await socket.init(token=token)
                await socket.subscribe(FOLLOW, id=job)
                assert (await socket.receive())["payload"]["data"]["jobStatus"]["id"] == job

            keys(service, "revoke", key)

            async with asyncio.timeout(ENDS_WITHIN_S):
                assert (await peer.closed()).code == 4403
            assert (await spared.ask(VIEWER))["data"]["viewer"]["tenant"] == "acme"
        assert (await ask(service, key, VIEWER))["status"] == 401
        await cancel(service, other, job)

    async def test_a_revoked_key_ends_its_event_streams(
        self, service: RunningService, tmp_path: Path
    ) -> None:
        key, other = new_key(service), new_key(service)
        job = await waiting_job(service, other, tmp_path / "gate")
        async with client_of(service, key) as client:
            body = {"query": FOLLOW, "variables": {"id": job}}
            accept = {"Accept": "text/event-stream"}
            async with client.stream("POST", "/graphql", json=body, headers=accept) as answer:
                lines = answer.aiter_lines()
                assert answer.status_code == 200
                while not (await anext(lines)).startswith("data:"):
                    pass

                keys(service, "revoke", key)

                async with asyncio.timeout(ENDS_WITHIN_S):
                    rest = [line async for line in lines]
        assert not any("SUCCEEDED" in line for line in rest)
        await cancel(service, other, job)

    @pytest.mark.parametrize("is_rest", [True, False])
    async def test_a_revoked_key_ends_its_submits_that_wait(
        self, service: RunningService, tmp_path: Path, is_rest: bool
    ) -> None:
        key, other, gate = new_key(service), new_key(service), tmp_path / "gate"
        os.mkfifo(gate)
        given = {"program": "gate", "source": {"inline": [str(gate)]}, "waitUpToMs": 20_000}
        asked = {"query": SUBMIT, "variables": {"input": given}}

        async def send(client: httpx.AsyncClient) -> httpx.Response:
            if is_rest:
                return await client.post("/jobs", json=given)
            return await client.post("/graphql", json=asked)

        async with client_of(service, key) as client, client_of(service, other) as watcher:
            waiting = asyncio.create_task(send(client))
            job = await live_job(watcher)

            keys(service, "revoke", key)

            async with asyncio.timeout(ENDS_WITHIN_S):
                answer = await waiting
        assert job not in answer.text
        assert "UNAUTHENTICATED" in answer.text
        await cancel(service, other, job)

    async def test_a_token_that_expires_closes_its_sockets(
        self, service: RunningService, provider: IdentityProvider
    ) -> None:
        expires = int(time.time()) + 2
        async with peer_of(service.url) as peer:
            await peer.init(token=provider.token(exp=expires))
            await peer.subscribe(FEED)

            async with asyncio.timeout(2 + ENDS_WITHIN_S):
                assert (await peer.closed()).code == 4403
        assert time.time() >= expires


class TestViewers:
    async def test_a_viewer_sees_its_job_and_no_other(
        self, service: RunningService, tmp_path: Path
    ) -> None:
        key = new_key(service)
        job = await waiting_job(service, key, tmp_path / "gate")
        other = await waiting_job(service, key, tmp_path / "other")
        made = await ask(service, key, TOKEN, input={"jobIds": [job], "ttlSeconds": 60})
        token = made["data"]["createViewerToken"]["token"]

        jobs = await ask(service, token, "{ jobs { edges { node { id allowedActions } } } }")
        hidden = await ask(service, token, "query($id: ID!) { job(id: $id) { id } }", id=other)
        forbidden = await submit(service, token)
        async with client_of(service, token) as client:
            rest = [(await client.get(f"/jobs/{each}")).status_code for each in (job, other)]

        assert jobs["data"]["jobs"]["edges"] == [{"node": {"id": job, "allowedActions": []}}]
        assert hidden["data"]["job"] is None
        assert forbidden["__typename"] == "ForbiddenError"
        assert rest == [202, 404]
        async with peer_of(service.url) as peer:
            await peer.init(token=token)
            await peer.subscribe(FEED, under="feed")
            assert (await peer.receive())["payload"]["data"]["jobFeed"]["id"] == job
            await peer.subscribe(FOLLOW, under="other", id=other)
            assert (await peer.error("other"))["extensions"]["code"] == "NOT_FOUND"
        for each in (job, other):
            await cancel(service, key, each)

    async def test_a_viewer_token_ends_with_its_key(
        self, service: RunningService, tmp_path: Path
    ) -> None:
        key, other = new_key(service), new_key(service)
        job = await waiting_job(service, other, tmp_path / "gate")
        made = await ask(service, key, TOKEN, input={"jobIds": [job]})
        token = made["data"]["createViewerToken"]["token"]
        async with peer_of(service.url) as peer:
            await peer.init(token=token)
            await peer.subscribe(FOLLOW, id=job)
            await peer.receive()

            keys(service, "revoke", key)

            async with asyncio.timeout(ENDS_WITHIN_S):
                assert (await peer.closed()).code == 4403
        await cancel(service, other, job)

    async def test_a_foreign_job_cannot_be_handed_on(
        self, service: RunningService, tmp_path: Path
    ) -> None:
        key, eve = new_key(service), new_key(service, tenant="other")
        job = await waiting_job(service, eve, tmp_path / "gate")
        unknown = "j-" + "0" * 30
        told = [
            (await ask(service, key, TOKEN, input={"jobIds": [each]}))["data"]["createViewerToken"]
            for each in (job, unknown)
        ]

        assert told[0]["code"] == "NOT_FOUND"
        assert json.dumps(told[0]).replace(job, "") == json.dumps(told[1]).replace(unknown, "")
        await cancel(service, eve, job)


class TestQuotas:
    async def test_too_many_live_jobs_are_told_and_cost_others_nothing(
        self, service: RunningService, tmp_path: Path
    ) -> None:
        key, other = (new_key(service, tenant=tenant) for tenant in ("greedy", "modest"))
        live = [await waiting_job(service, key, tmp_path / f"gate-{n}") for n in range(3)]

        refused = await submit(service, key)
        async with client_of(service, key) as client:
            rest = await client.post(
                "/jobs", json={"program": "wordcount", "source": {"inline": ["a"]}}
            )
        spared = await submit(service, other)

        assert (refused["__typename"], refused["code"]) == ("QuotaExceededError", "QUOTA_EXCEEDED")
        assert refused["retryable"] is True
        assert refused["retryAfterSeconds"] > 0
        assert rest.status_code == 429
        assert int(rest.headers["Retry-After"]) > 0
        assert spared["__typename"] == "SubmitJobSuccess"
        for job in live:
            await cancel(service, key, job)

    async def test_too_many_connections_are_refused(self, service: RunningService) -> None:
        key = new_key(service, tenant="crowd")
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            for _ in range(5):
                peer = await stack.enter_async_context(peer_of(service.url))
                await peer.init(token=key)
            one_more = await stack.enter_async_context(peer_of(service.url))
            await one_more.send(type="connection_init", payload={"token": key})
            closed = await one_more.closed()

        assert closed.code == 1013
        assert "5 connections" in closed.reason


class TestCommands:
    def test_a_key_is_made_listed_and_revoked(self, service: RunningService) -> None:
        key = new_key(service, "--name", "ci", "--expires", "30", tenant="listed")
        id = key.split("_")[1]

        listed = json.loads(keys(service, "list", "--tenant", "listed", "--json"))
        table = keys(service, "list")

        assert (listed["id"], listed["name"]) == (id, "ci")
        assert listed["scopes"] == ["read", "submit", "manage"]
        assert id in table
        assert key.split("_", 2)[2] not in table + json.dumps(listed)
        keys(service, "revoke", id)
        assert keys(service, "list", "--tenant", "listed", "--json") == ""

    @pytest.mark.parametrize(
        ("args", "told"),
        [
            (["create", "--tenant", "a/b"], "'a/b' is no name of a tenant"),
            (["create", "--tenant", "a", "--scope", "write"], "'write' is no scope"),
            (["create", "--tenant", "a", "--name", "a\nb"], "a name has 1 to 200 characters"),
            (["create", "--tenant", "a", "--scope", ","], "a key needs a scope"),
            (["revoke", "nonsense"], "no key 'nonsense'"),
        ],
    )
    def test_what_is_wrong_is_told_in_one_line(
        self, service: RunningService, args: list[str], told: str
    ) -> None:
        done = fanfold("key", *args, environ={"FANFOLD_DATA_DIR": str(service.data_dir)})

        assert done.returncode == 3
        assert done.stdout == ""
        assert done.stderr.startswith(f"fanfold: {told}")

    def test_keys_need_a_service_to_be_kept_by(self, tmp_path: Path) -> None:
        done = fanfold("key", "list", environ={"FANFOLD_DATA_DIR": str(tmp_path / "none")})

        assert done.returncode == 2
        assert "fanfold up" in done.stderr

    def test_commands_show_their_token(self, service: RunningService) -> None:
        key = new_key(service)
        signed_in = {"FANFOLD_URL": service.url, "FANFOLD_TOKEN": key}

        submitted = fanfold(
            "submit", "wordcount", "-", "--wait", environ=signed_in, stdin="a b a\n"
        )
        job = submitted.stdout.split()[0]
        rows = fanfold("result", job, "--token", key, environ={"FANFOLD_URL": service.url})

        assert submitted.returncode == 0, submitted.stderr
        assert {"key": "a", "value": 2} in map(json.loads, rows.stdout.splitlines())
        assert key not in submitted.stdout + submitted.stderr

    def test_commands_without_a_token_tell_how_to_give_one(self, service: RunningService) -> None:
        done = fanfold("jobs", environ={"FANFOLD_URL": service.url})

        assert done.returncode == 3
        assert "FANFOLD_TOKEN" in done.stderr

    def test_a_watch_ends_when_its_key_is_revoked(
        self, service: RunningService, tmp_path: Path
    ) -> None:
        key, other = new_key(service), new_key(service)
        job = asyncio.run(waiting_job(service, other, tmp_path / "gate"))
        with service.started("watch", job, "--json", "--token", key) as watching:
            assert watching.stdout is not None
            assert watching.stderr is not None
            assert json.loads(watching.stdout.readline())["id"] == job

            keys(service, "revoke", key)

            assert watching.wait(15) == 3
            assert "FANFOLD_TOKEN" in watching.stderr.read()
        asyncio.run(cancel(service, other, job))
