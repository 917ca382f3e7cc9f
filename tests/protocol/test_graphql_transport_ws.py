"""``graphql-transport-ws`` against a running service, message by message, code by code.

Source: PROTOCOL.md of the npm package graphql-ws.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, ClassVar

import anyio.lowlevel
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.client import SUBMIT, Api
from tests.support.peer import Closed, Peer, peer_of
from tests.support.running import RunningService

pytestmark = pytest.mark.anyio

VERSION = "{ service { version } }"
FOLLOW = "subscription($id: ID!) { jobStatus(id: $id, minIntervalMs: 0) { id version state } }"
FEED = "subscription { jobFeed { id version } }"
BAD = "Invalid message: "


def _frame(head: int, payload: bytes) -> bytes:
    """Return a frame as clients send them; its mask changes nothing."""
    length = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe\x00\x7e"
    return bytes((head,)) + length + bytes(4) + payload


@pytest.fixture
async def peer(service: RunningService) -> AsyncIterator[Peer]:
    async with peer_of(service.url) as peer:
        yield peer


@pytest.fixture
async def greeted(peer: Peer) -> Peer:
    await peer.init()
    return peer


class TestHandshake:
    async def test_the_subprotocol_is_agreed_on(self, service: RunningService) -> None:
        async with peer_of(service.url, subprotocols=["graphql-ws", "graphql-transport-ws"]) as p:
            assert p.socket.subprotocol == "graphql-transport-ws"

    @pytest.mark.parametrize("offered", [None, ["graphql-ws"], ["soap", "graphql-ws"]])
    async def test_another_subprotocol_closes_4406(
        self, service: RunningService, offered: list[str] | None
    ) -> None:
        async with peer_of(service.url, subprotocols=offered) as peer:
            assert await peer.closed() == Closed(4406, "Subprotocol not acceptable")

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "file://"])
    async def test_a_page_of_another_origin_may_not_connect(
        self, service: RunningService, origin: str
    ) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with peer_of(service.url, origin=origin):
                pass
        assert refused.value.response.status_code == 403

    async def test_a_page_of_the_service_may_connect(self, service: RunningService) -> None:
        async with peer_of(service.url, origin=service.url) as peer:
            await peer.init()

    async def test_nothing_is_compressed(self, peer: Peer) -> None:
        assert peer.socket.response is not None
        assert "Sec-WebSocket-Extensions" not in peer.socket.response.headers


class TestConnectionInit:
    @pytest.mark.parametrize(
        "message",
        [
            {"type": "connection_init"},
            {"type": "connection_init", "payload": None},
            {"type": "connection_init", "payload": {}},
            {"type": "connection_init", "payload": {"anything": [1]}},
        ],
    )
    async def test_it_is_acknowledged(self, peer: Peer, message: dict[str, Any]) -> None:
        await peer.send(**message)
        assert await peer.receive() == {"type": "connection_ack"}

    async def test_a_second_one_closes_4429(self, greeted: Peer) -> None:
        await greeted.send(type="connection_init")
        assert await greeted.closed() == Closed(4429, "Too many initialisation requests")

    async def test_two_at_once_close_4429(self, peer: Peer) -> None:
        await peer.send(type="connection_init")
        await peer.send(type="connection_init")
        assert (await peer.closed()).code == 4429

    async def test_without_it_the_connection_is_closed_4408(self, peer: Peer) -> None:
        assert await peer.closed() == Closed(4408, "Connection initialisation timeout")

    async def test_pings_alone_do_not_put_that_off(self, peer: Peer) -> None:
        await peer.send(type="ping")
        assert await peer.receive() == {"type": "pong"}
        assert (await peer.closed()).code == 4408

    async def test_subscribing_before_closes_4401(self, peer: Peer) -> None:
        await peer.subscribe(VERSION)
        assert await peer.closed() == Closed(4401, "Unauthorized")

    @pytest.mark.parametrize("name", ["Authorization", "authorization", "token"])
    async def test_a_credential_that_is_no_text_closes_4400(self, peer: Peer, name: str) -> None:
        await peer.send(type="connection_init", payload={name: ["x"]})
        assert await peer.closed() == Closed(4400, f"{BAD}payload.{name} must be a string")


class TestPingPong:
    @pytest.mark.parametrize("payload", [{}, {"a": [1, None, "ü"]}])
    async def test_a_payload_comes_back(self, greeted: Peer, payload: dict[str, Any]) -> None:
        await greeted.send(type="ping", payload=payload)
        assert await greeted.receive() == {"type": "pong", "payload": payload}

    @pytest.mark.parametrize("message", [{"type": "ping"}, {"type": "ping", "payload": None}])
    async def test_a_ping_without_payload_gets_a_pong_without(
        self, peer: Peer, message: dict[str, Any]
    ) -> None:
        await peer.send(**message)
        assert await peer.receive() == {"type": "pong"}

    async def test_a_pong_may_come_at_any_time(self, peer: Peer) -> None:
        await peer.send(type="pong", payload={"a": 1})
        await peer.init()
        await peer.send(type="pong")
        await peer.is_idle()


class TestOperations:
    async def test_a_query_gets_one_answer_and_completes(self, greeted: Peer) -> None:
        answer = await greeted.ask(VERSION)
        assert answer["data"]["service"]["version"]

    async def test_a_mutation_runs(self, greeted: Peer) -> None:
        job = {"program": "wordcount", "source": {"inline": ["a b"]}, "waitUpToMs": 10_000}
        answer = await greeted.ask(SUBMIT, input=job)
        assert answer["data"]["submitJob"]["job"]["status"]["state"] == "SUCCEEDED"

    async def test_a_subscription_ends_with_the_terminal_state_and_completes(
        self, greeted: Peer, api: Api
    ) -> None:
        job = await api.submit("wordcount", ["a b"])
        await greeted.subscribe(FOLLOW, under=job, id=job)
        statuses = []
        while (message := await greeted.receive())["type"] == "next":
            assert message["id"] == job
            statuses.append(message["payload"]["data"]["jobStatus"])
        assert message == {"id": job, "type": "complete"}
        assert statuses[-1]["state"] == "SUCCEEDED"
        versions = [status["version"] for status in statuses]
        assert versions == sorted(set(versions))

    async def test_operations_share_the_connection(self, greeted: Peer, api: Api) -> None:
        jobs = [await api.submit("wordcount", ["a b"]) for _ in range(5)]
        for job in jobs:
            await greeted.subscribe(FOLLOW, under=job, id=job)
        await greeted.subscribe(VERSION, under="q")
        left = {*jobs, "q"}
        while left:
            message = await greeted.receive()
            if message["type"] == "complete":
                left.remove(message["id"])
            else:
                assert message["id"] in left

    async def test_a_completed_subscription_sends_nothing_more(
        self, greeted: Peer, api: Api
    ) -> None:
        await greeted.subscribe(FEED, under="feed")
        await greeted.complete("feed")
        await greeted.is_idle()
        await api.run("wordcount", ["a"])
        await greeted.is_idle()

    async def test_an_id_may_be_used_again_once_completed(self, greeted: Peer) -> None:
        for _ in range(3):
            await greeted.subscribe(FEED, under="again")
            await greeted.complete("again")
        assert (await greeted.ask(VERSION, under="again"))["data"]

    async def test_completing_what_is_unknown_is_ignored(self, greeted: Peer) -> None:
        await greeted.complete("never seen")
        await greeted.is_idle()

    @pytest.mark.parametrize("again", [FEED, VERSION])
    async def test_a_live_id_closes_4409(self, greeted: Peer, again: str) -> None:
        await greeted.subscribe(FEED, under="x")
        await greeted.subscribe(again, under="x")
        assert await greeted.closed() == Closed(4409, "Subscriber for x already exists")

    async def test_a_long_id_is_cut_in_the_reason(self, greeted: Peer) -> None:
        id = "ü" * 200
        await greeted.subscribe(FEED, under=id)
        await greeted.subscribe(FEED, under=id)
        closed = await greeted.closed()
        assert closed.code == 4409
        assert closed.reason.startswith("Subscriber for üüü")

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{", "GRAPHQL_PARSE_FAILED"),
            ("{" + "x " * 500 + "§", "GRAPHQL_PARSE_FAILED"),
            ("", "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription { a: jobFeed { id } b: jobFeed { id } }", "GRAPHQL_VALIDATION_FAILED"),
            ("query A { service { version } } query B { service { version } }", "BAD_REQUEST"),
            (FOLLOW, "BAD_REQUEST"),
            ('subscription { jobStatus(id: "j-none") { id } }', "NOT_FOUND"),
            ('subscription { jobStatus(id: "../x") { id } }', "NOT_FOUND"),
            ("subscription { jobFeed(minIntervalMs: -1) { id } }", "VALIDATION_FAILED"),
        ],
    )
    async def test_a_wrong_operation_gets_an_error_and_the_connection_lives(
        self, greeted: Peer, query: str, code: str
    ) -> None:
        await greeted.subscribe(query)
        error = await greeted.error()
        assert error["extensions"]["code"] == code
        assert (await greeted.ask(VERSION, under="1"))["data"]

    async def test_an_integer_that_is_none_here_gets_an_error(self, greeted: Peer) -> None:
        await greeted.subscribe(VERSION, variables={"n": 2**64}, under="1")
        assert (await greeted.error())["message"] == f"The integer {2**64} has more than 64 bits."
        assert (await greeted.ask(VERSION, under="1"))["data"]

    async def test_an_unknown_operation_name_gets_an_error(self, greeted: Peer) -> None:
        await greeted.subscribe(VERSION, name="Other")
        assert "Other" in (await greeted.error())["message"]

    async def test_one_of_several_operations_is_chosen_by_name(self, greeted: Peer) -> None:
        query = "query A { service { version } } query B { __typename }"
        await greeted.subscribe(query, name="B")
        assert (await greeted.receive())["payload"] == {"data": {"__typename": "Query"}}


class TestMalformed:
    SUBSCRIBE: ClassVar[dict[str, Any]] = {
        "type": "subscribe",
        "id": "1",
        "payload": {"query": VERSION},
    }

    @pytest.mark.parametrize("is_greeted", [False, True])
    @pytest.mark.parametrize(
        "frame",
        [
            "[]",
            "1",
            "null",
            '"text"',
            "",
            "{",
            "NaN",
            '{"type":NaN}',
            "{}",
            '{"type":1}',
            '{"type":["ping"]}',
            '{"type":"unknown"}',
            '{"type":"' + "x" * 5_000 + '"}',
            '{"type":"data"}',
            '{"type":"connection_ack"}',
            '{"type":"next","id":"1","payload":{}}',
            '{"type":"ping","payload":"text"}',
            '{"type":"ping","payload":[]}',
            '{"type":"pong","payload":1}',
            '{"type":"connection_init","payload":"text"}',
            '{"type":"connection_init","payload":[]}',
            '{"type":"complete"}',
            '{"type":"complete","id":1}',
            '{"type":"complete","id":""}',
            "[" * 10_000,
            '{"a":' * 3_000 + "1" + "}" * 3_000,
            '{"type":"ping","payload":{"n":' + "1" * 5_000 + "}}",
            '{"type":"ping","payload":{"n":1e999}}',
            '{"type":"ping","payload":{"s":"\\ud800"}}',
            '{"type":"ping","payload":{"a":' + "[" * 300 + "]" * 300 + "}}",
        ],
    )
    async def test_what_is_no_message_closes_4400(
        self, peer: Peer, frame: str, is_greeted: bool
    ) -> None:
        if is_greeted:
            await peer.init()
        await peer.send_raw(frame)
        closed = await peer.closed()
        assert closed.code == 4400
        assert closed.reason.startswith(BAD)

    @pytest.mark.parametrize(
        "change",
        [
            {"id": None},
            {"id": 1},
            {"id": ["1"]},
            {"id": {"a": 1}},
            {"id": ""},
            {"id": "x" * 257},
            {"payload": None},
            {"payload": []},
            {"payload": "text"},
            {"payload": {}},
            {"payload": {"query": None}},
            {"payload": {"query": 1}},
            {"payload": {"query": VERSION, "variables": []}},
            {"payload": {"query": VERSION, "variables": "text"}},
            {"payload": {"query": VERSION, "operationName": 1}},
            {"payload": {"query": VERSION, "extensions": []}},
        ],
    )
    async def test_a_malformed_subscribe_closes_4400(
        self, greeted: Peer, change: dict[str, Any]
    ) -> None:
        await greeted.send(**{**self.SUBSCRIBE, **change})
        assert (await greeted.closed()).code == 4400

    @pytest.mark.parametrize("data", [b"", b'{"type":"ping"}', b"\x00\xff" * 1_000])
    async def test_a_binary_message_closes_4400(self, greeted: Peer, data: bytes) -> None:
        await greeted.send_raw(data)
        assert await greeted.closed() == Closed(4400, f"{BAD}a message must be text")

    async def test_a_large_message_of_a_stranger_closes_4400(self, peer: Peer) -> None:
        await peer.send(type="connection_init", payload={"a": "x" * 20_000})
        assert (await peer.closed()).code == 4400

    async def test_a_message_beyond_the_limit_closes_1009(self, greeted: Peer) -> None:
        await greeted.subscribe("x" * (2**20 + 1))
        assert (await greeted.closed()).code == 1009

    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            (b"\x81\x02{}", 1002),
            (_frame(0xC1, b"{}"), 1002),
            (_frame(0x83, b"{}"), 1002),
            (_frame(0x80, b"{}"), 1002),
            (_frame(0x09, b"x"), 1002),
            (_frame(0x89, b"x" * 126), 1002),
            (_frame(0x81, b'{"type":"\xff"}'), 1007),
            (_frame(0x01, b"{") + _frame(0x00, b" ") * 1_000, 1009),
        ],
        ids=[
            "not masked",
            "a reserved bit",
            "an unknown kind",
            "a rest of nothing",
            "a ping in parts",
            "a long ping",
            "no UTF-8",
            "many parts",
        ],
    )
    async def test_a_malformed_frame_gets_the_code_of_websockets_and_leaves_no_traceback(
        self, service: RunningService, peer: Peer, sent: bytes, code: int
    ) -> None:
        before = len(service.log)

        peer.socket.transport.write(sent)

        assert (await peer.closed()).code == code
        assert "Traceback" not in service.log[before:]

    async def test_whatever_is_sent_the_answer_is_a_message_or_4400(
        self, service: RunningService
    ) -> None:
        seed = random.randrange(2**32)  # noqa: S311 - a test
        print(f"seed {seed}")  # noqa: T201
        rng = random.Random(seed)  # noqa: S311 - a test
        for _ in range(60):
            async with peer_of(service.url) as peer:
                if rng.random() < 0.7:
                    await peer.init()
                await peer.send_raw(_mutated(rng, json.dumps(self.SUBSCRIBE)))
                await peer.send_raw("[]")
                assert (await peer.closed()).code in (4400, 4401)

    async def test_none_of_it_leaves_a_traceback_and_little_of_it_a_line(
        self, service: RunningService
    ) -> None:
        before = len(service.log)
        for _ in range(30):
            async with peer_of(service.url) as peer:
                await peer.send_raw("[]")
                await peer.closed()

        log = service.log[before:]
        assert "Traceback" not in log
        assert log.count("a WebSocket is closed") <= 2


class TestLimits:
    async def test_a_hundred_subscriptions_at_once_are_fine_and_one_more_is_not(
        self, greeted: Peer
    ) -> None:
        for number in range(100):
            await greeted.subscribe(FEED, under=f"s{number}")
        await greeted.is_idle()
        await greeted.subscribe(FEED, under="one more")
        assert (await greeted.error("one more"))["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        await greeted.complete("s0")
        await greeted.subscribe(FEED, under="one more")
        await greeted.is_idle()

    async def test_operations_that_come_too_fast_are_refused_one_by_one(
        self, greeted: Peer
    ) -> None:
        refused = 0
        for number in range(400):
            await greeted.subscribe(FEED, under=str(number))
            await greeted.complete(str(number))
        await greeted.send(type="ping")
        while (message := await greeted.receive())["type"] != "pong":
            refused += message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert 100 < refused <= 200

    async def test_a_flood_of_messages_closes_1008(self, greeted: Peer) -> None:
        with suppress(ConnectionClosed):  # in the midst
            for number in range(10_000):
                await greeted.send_raw('{"type":"pong"}')
                if number % 50 == 0:  # sending alone does not let the client read
                    await anyio.lowlevel.checkpoint()
        assert (await greeted.closed()).code == 1008


def _mutated(rng: random.Random, text: str) -> str:
    chars = list(text)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(chars))
        kind = rng.randrange(3)
        if kind == 0:
            del chars[place]
        elif kind == 1:
            chars.insert(place, rng.choice('[]{}":,0\\x\x00nü'))
        else:
            chars[place] = rng.choice('[]{}":,0\\x\x00nü')
    return "".join(chars)
