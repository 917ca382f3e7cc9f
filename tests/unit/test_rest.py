"""The REST face over resolvers in memory: who may come in, what they are told, when polls end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Container
from typing import Any

import httpx
import pytest
from graphql import build_schema
from starlette.applications import Starlette

from engine import errors
from engine.errors import (
    FanfoldError,
    IdempotencyConflictError,
    InputError,
    InvalidStateError,
    Issue,
    QuotaExceededError,
    TaskError,
    UnauthenticatedError,
)
from engine.job import JobId, JobState
from resolvers.access.caller import Caller, Scope
from resolvers.access.quotas import Connections
from schema.sdl import served_sdl
from tests.support.memory import ADA, EVE, World, job_of, make_world
from tests.support.waiting import eventually_async
from transport.origins import Origins
from transport.rest.polling import EVERY, Polls, known_versions
from transport.rest.problems import STATUS_OF, problem_of
from transport.rest.routes import rest_routes

pytestmark = pytest.mark.anyio

READER = Caller("rea", ADA.tenant, scopes=frozenset({Scope.READ}))
SUBMITTER = Caller("sue", ADA.tenant, scopes=frozenset({Scope.SUBMIT}))
VIEWER = Caller(
    "vic", ADA.tenant, scopes=frozenset({Scope.READ}), jobs=frozenset({JobId("j-shown")})
)
CALLERS = {"ada": ADA, "eve": EVE, "rea": READER, "sue": SUBMITTER, "vic": VIEWER}
WORDCOUNT = {"program": "wordcount", "source": {"inline": ["a b"]}}
MOST_WAITING = 2
NEVER_MET = (errors.ConfigError, errors.NonRetryable, TaskError)
"""What no caller of ours can do anything about."""


class Door:
    """An authenticator that knows callers by their names.

    Attributes:
        watches: Called when a credential ends.
    """

    def __init__(self) -> None:
        self.watches: list[Callable[[], None]] = []

    async def authenticate(self, credential: str | None) -> Caller:
        if credential not in CALLERS:
            raise UnauthenticatedError("nobody knows who calls")
        return CALLERS[credential]

    def watch(self, caller: Caller, on_end: Callable[[], None]) -> Callable[[], None]:
        self.watches.append(on_end)

        def end() -> None:
            if on_end in self.watches:
                self.watches.remove(on_end)

        return end


class Face:
    """The REST face of a world.

    Attributes:
        world: What is behind it.
        door: Who is let in.
        polls: Its long polls.
    """

    def __init__(self, client: httpx.AsyncClient, world: World, door: Door, polls: Polls) -> None:
        self._client = client
        self.world = world
        self.door = door
        self.polls = polls

    async def ask(
        self, method: str, path: str, *, by: str | None = "ada", **options: Any
    ) -> httpx.Response:
        headers = {} if by is None else {"Authorization": f"Bearer {by}"}
        return await self._client.request(
            method, path, headers=headers | options.pop("headers", {}), **options
        )

    async def ask_with(
        self, method: str, path: str, headers: list[tuple[str, str]]
    ) -> httpx.Response:
        return await self._client.request(method, path, headers=headers)


@pytest.fixture
async def face() -> AsyncIterator[Face]:
    world, door, polls = make_world(), Door(), Polls()
    routes = rest_routes(
        world.services,
        hub=world.hub,
        authenticator=door,
        origins=Origins(),
        connections=Connections(MOST_WAITING),
        polls=polls,
        schema=build_schema(served_sdl()),
    )
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    async with (
        world.hub,
        httpx.AsyncClient(transport=transport, base_url="http://fanfold.test") as client,
    ):
        yield Face(client, world, door, polls)


# ------------------------------------------------------------------ who may come in


@pytest.mark.parametrize("authorization", [None, "Bearer nobody", "Basic YTpi", "Bearer "])
async def test_who_is_not_known_is_told_how_to_be(face: Face, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = await face.ask("GET", "/jobs/j-1", by=None, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "UNAUTHENTICATED"


async def test_a_header_that_is_given_twice_is_refused(face: Face) -> None:
    twice = [("Authorization", "Bearer ada"), ("Authorization", "Bearer eve")]

    answer = await face.ask_with("GET", "/jobs/j-1", twice)

    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "the header authorization is given twice",
    )


@pytest.mark.parametrize(
    ("by", "method", "path", "body"),
    [
        ("rea", "POST", "/jobs", WORDCOUNT),
        ("rea", "POST", "/jobs", {"program": 7, "waitUpToMs": "x"}),
        ("rea", "DELETE", "/jobs/j-1", None),
        ("sue", "GET", "/jobs/j-1", None),
        ("sue", "GET", "/jobs/j-1/result", None),
        ("sue", "GET", "/jobs/j-none/result/files", None),
        ("sue", "DELETE", "/jobs/j-none", None),
    ],
)
async def test_who_lacks_the_scope_is_told_so_and_nothing_else(
    face: Face, by: str, method: str, path: str, body: Any
) -> None:
    face.world.jobs.put(job_of("j-1", state=JobState.SUCCEEDED))

    answer = await face.ask(method, path, by=by, json=body)

    assert answer.status_code == 403
    assert answer.json()["code"] == "FORBIDDEN"


@pytest.mark.parametrize("by", ["eve", "vic"])
@pytest.mark.parametrize("path", ["", "/result", "/result/files"])
async def test_the_job_of_somebody_else_is_not_there(face: Face, by: str, path: str) -> None:
    face.world.jobs.put(job_of("j-1", state=JobState.SUCCEEDED))

    there = await face.ask("GET", f"/jobs/j-1{path}", by=by)
    nowhere = await face.ask("GET", f"/jobs/j-2{path}", by=by)

    assert there.status_code == nowhere.status_code == 404
    assert there.text.replace("j-1", "j-2") == nowhere.text


async def test_a_viewer_sees_the_job_that_they_were_shown(face: Face) -> None:
    face.world.jobs.put(job_of("j-shown", state=JobState.SUCCEEDED))

    assert (await face.ask("GET", "/jobs/j-shown", by="vic")).status_code == 200


async def test_the_description_is_for_everybody(face: Face) -> None:
    assert (await face.ask("GET", "/openapi.json", by=None)).status_code == 200


# ------------------------------------------------------------------ what goes wrong


def every_error() -> list[FanfoldError]:
    known: dict[type[FanfoldError], FanfoldError] = {
        InputError: InputError(Issue(("input",), "is wrong")),
        InvalidStateError: InvalidStateError("no", state="FAILED"),
        IdempotencyConflictError: IdempotencyConflictError("no", existing_job_id="j-1"),
        QuotaExceededError: QuotaExceededError("no", retry_after_s=2.5),
    }
    kinds = [found for _, found in inspect.getmembers(errors, inspect.isclass)]
    return [
        known.get(kind) or kind("secret")
        for kind in kinds
        if issubclass(kind, FanfoldError) and kind is not FanfoldError
    ]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_every_error_is_told_or_hidden(error: FanfoldError) -> None:
    problem = problem_of(error)

    if isinstance(error, NEVER_MET):
        assert (problem.status, problem.code) == (500, "INTERNAL")
        assert "secret" not in problem.detail
    else:
        assert problem.status in STATUS_OF.values()
        assert problem.detail == error.message
        assert problem.more["retryable"] is error.retryable


def test_a_quota_tells_when_to_come_again() -> None:
    problem = problem_of(QuotaExceededError("no", retry_after_s=2.5))

    assert (problem.status, problem.headers["Retry-After"]) == (429, "3")
    assert problem.more["retryAfterSeconds"] == 2.5


async def test_a_fault_of_ours_is_hidden_under_a_reference(
    face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    face.world.jobs.fault = RuntimeError("secret")

    answer = await face.ask("GET", "/jobs/j-1")

    assert answer.status_code == 500
    assert "secret" not in answer.text
    reference = answer.json()["detail"].rpartition(" ")[2]
    assert reference in caplog.text
    assert "secret" in caplog.text


async def test_a_store_that_is_away_is_told_so(face: Face) -> None:
    face.world.jobs.is_down = True

    answer = await face.ask("GET", "/jobs/j-1")

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert answer.json()["retryable"] is True
    assert answer.headers["Retry-After"] == "1"


# ------------------------------------------------------------------ long polls


async def test_a_poll_ends_when_the_credential_does(face: Face) -> None:
    face.world.jobs.put(job_of("j-1", state=JobState.RUNNING))
    poll = asyncio.create_task(face.ask("GET", "/jobs/j-1?waitMs=20000"))
    await eventually_async(lambda: bool(face.door.watches))

    face.door.watches[0]()

    assert (await poll).status_code == 401
    assert face.door.watches == []


async def test_polls_end_when_the_service_does(face: Face) -> None:
    face.world.jobs.put(job_of("j-1", state=JobState.RUNNING))
    poll = asyncio.create_task(face.ask("GET", "/jobs/j-1?waitMs=20000"))
    await eventually_async(lambda: bool(face.door.watches))

    face.polls.close_all()

    assert (await poll).status_code == 503
    assert (await face.ask("GET", "/jobs/j-1?waitMs=20000")).status_code == 503


async def test_a_tenant_holds_only_so_many_polls_open(face: Face) -> None:
    face.world.jobs.put(job_of("j-1", state=JobState.RUNNING))
    path = "/jobs/j-1?waitMs=20000"
    polls = [asyncio.create_task(face.ask("GET", path)) for _ in range(MOST_WAITING)]
    await eventually_async(lambda: len(face.door.watches) == MOST_WAITING)

    refused = await face.ask("GET", path)
    assert (refused.status_code, refused.json()["code"]) == (429, "QUOTA_EXCEEDED")
    assert (await face.ask("GET", "/jobs/j-1")).status_code == 202

    face.world.jobs.change("j-1", state=JobState.SUCCEEDED)
    assert {(await poll).status_code for poll in polls} == {200}
    assert (await face.ask("GET", path)).status_code == 200


async def test_a_submit_that_waits_is_held_like_a_poll(face: Face) -> None:
    body = {**WORDCOUNT, "waitUpToMs": 20_000}
    waiting = [
        asyncio.create_task(face.ask("POST", "/jobs", json=body)) for _ in range(MOST_WAITING)
    ]
    await eventually_async(lambda: len(face.door.watches) == MOST_WAITING)

    at_once = await face.ask("POST", "/jobs", json=body)
    assert at_once.status_code == 202
    assert "Retry-After" in at_once.headers

    for end in list(face.door.watches):
        end()
    assert {(await answer).status_code for answer in waiting} == {401}
    assert face.door.watches == []


async def test_who_has_left_keeps_nothing_busy(face: Face) -> None:
    face.world.jobs.put(job_of("j-1", state=JobState.RUNNING))
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(f"nobody is there for {message}")

    routes = rest_routes(
        face.world.services,
        hub=face.world.hub,
        authenticator=face.door,
        origins=Origins(),
        connections=Connections(MOST_WAITING),
        polls=face.polls,
        schema=build_schema(served_sdl()),
    )
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/jobs/j-1",
        "query_string": b"waitMs=20000",
        "headers": [(b"authorization", b"Bearer ada")],
        "server": ("fanfold.test", 80),
    }
    answering = asyncio.create_task(Starlette(routes=routes)(scope, receive, send))
    await eventually_async(lambda: face.world.hub.listeners == 1)

    left.set()
    await answering

    await eventually_async(lambda: face.world.hub.listeners == 0)


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ([], None),
        (['"3"'], {3}),
        (['W/"3", "12"'], {3, 12}),
        (['"3"', 'W/"x,4" ,"5"'], {3, 5}),
        (['"abc", "-1", "٣", "03", ""'], set()),
        (["3"], set()),
        (['"*"'], set()),
        (['"' + "9" * 100 + '"'], set()),
        (["*"], EVERY),
        ([" * "], EVERY),
    ],
)
def test_versions_are_read_from_entity_tags(
    header: list[str], known: set[int] | Container[int] | None
) -> None:
    assert known_versions(header) == known
