"""What is noted of a request, and what its answer says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from engine.log_context import current_log_fields
from engine.meters import Unmeasured
from engine.tracer import Untraced
from transport.observed import Observed

pytestmark = pytest.mark.anyio


@dataclass
class Noted(Unmeasured, Untraced):
    """A meter and tracer that remember."""

    answers: list[tuple[str, str, int]] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    parents: list[str | None] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.answers.append((method, route, status))

    def streams(self, change: int) -> None:
        self.changes.append(change)

    @contextmanager
    def span(
        self, name: str, *, parent: str | None = None, **attributes: str | int
    ) -> Iterator[None]:
        self.parents.append(parent)
        yield

    def end(self, outcome: str, *, error: str = "") -> None:
        self.outcomes.append(outcome)


async def show(_: Request) -> Response:
    return PlainTextResponse(str(current_log_fields().get("request")))


async def stream(_: Request) -> Response:
    return StreamingResponse(iter(["data: 1\n\n"]), media_type="text/event-stream")


async def fail(_: Request) -> Response:
    raise RuntimeError("a fault")


def client(noted: Noted) -> httpx.AsyncClient:
    routes = [Route("/jobs/{id}", show), Route("/stream", stream), Route("/fail", fail)]
    application = Observed(Starlette(routes=routes), meter=noted, tracer=noted)
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_the_id_of_a_request_is_in_its_context_and_in_its_answer() -> None:
    async with client(Noted()) as http:
        answer = await http.get("/jobs/1", headers={"X-Request-Id": "from-proxy.7"})

    assert answer.text == answer.headers["x-request-id"] == "from-proxy.7"


@pytest.mark.parametrize("sent", [None, "", "two words", "a" * 129, "ä", "a,b", "<script>"])
async def test_a_request_without_an_ordinary_id_gets_one(sent: str | None) -> None:
    headers: dict[bytes, bytes] = {} if sent is None else {b"X-Request-Id": sent.encode()}
    async with client(Noted()) as http:
        answer = await http.get("/jobs/1", headers=headers)

    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert answer.text == answer.headers["x-request-id"]


async def test_answers_are_noted_by_route_and_status() -> None:
    noted = Noted()
    async with client(noted) as http:
        for path in ("/jobs/1", "/jobs/2", "/nowhere", "/jobs/", "/fail"):
            await http.get(path)
        await http.post("/jobs/1")

    assert noted.answers == [
        ("GET", "/jobs/{id}", 200),
        ("GET", "/jobs/{id}", 200),
        ("GET", "other", 404),
        ("GET", "other", 404),
        ("GET", "/fail", 500),
        ("POST", "/jobs/{id}", 405),
    ]
    assert noted.outcomes[0] == "/jobs/{id} 200"


async def test_a_stream_lasts_as_its_reader_wants_and_is_not_timed() -> None:
    noted = Noted()
    async with client(noted) as http:
        await http.get("/stream")

    assert noted.answers == []
    assert noted.changes == [1, -1]


@pytest.mark.parametrize(
    ("sent", "parent"),
    [
        ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
        ("nonsense", None),
        ("00-" + "A" * 32 + "-" + "b" * 16 + "-01", None),
    ],
)
async def test_a_request_belongs_to_the_trace_that_it_names(sent: str, parent: str | None) -> None:
    noted = Noted()
    async with client(noted) as http:
        await http.get("/jobs/1", headers={"traceparent": sent})

    assert noted.parents == [parent]


async def test_a_fault_is_logged_and_answered_under_the_id_of_its_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fault(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("what nobody may see")

    noted = Noted()
    transport = httpx.ASGITransport(app=Observed(fault, meter=noted, tracer=noted))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/", headers={"X-Request-Id": "4711"})

    assert (answer.status_code, answer.text) == (500, "internal error, reference 4711\n")
    assert "internal error, reference 4711" in caplog.text
    assert "what nobody may see" in caplog.text
    assert noted.answers == [("GET", "other", 500)]


async def test_an_answer_that_breaks_off_is_not_made_to_look_whole() -> None:
    async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("a fault")

    noted = Noted()
    transport = httpx.ASGITransport(app=Observed(breaks_off, meter=noted, tracer=noted))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        with pytest.raises(ConnectionAbortedError):
            await http.get("/")


async def test_who_has_gone_unanswered_is_no_fault_of_ours() -> None:
    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    noted = Noted()
    scope = {"type": "http", "method": "POST", "path": "/graphql", "headers": []}
    await Observed(gives_up, meter=noted, tracer=noted)(scope, nothing, nowhere)

    assert noted.answers == [("POST", "/graphql", 499)]


async def nothing() -> Message:
    return {"type": "http.disconnect"}


async def nowhere(_: Message) -> None:
    pass
