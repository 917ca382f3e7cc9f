"""Following over a gateway: what clients send, what they get, and who is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from engine.errors import UnauthenticatedError, UnavailableError
from engine.followers import ConnectionId, Following
from engine.job import JobId, JobState
from resolvers.access.caller import Caller, Scope
from tests.support.memory import World, job_of, make_world, status_of
from transport.gateway import MAX_BYTES, GatewayEndpoint, state_message, tell_followers

pytestmark = pytest.mark.anyio

ADA = ConnectionId("ada=")
BOB = ConnectionId("bob=")
READER = Caller(subject="ada", tenant="acme", scopes=frozenset({Scope.READ}))


@dataclass
class MemoryFollowers:
    """Everybody who follows something."""

    all: list[Following] = field(default_factory=list)

    def add(self, following: Following) -> None:
        self.all.append(following)

    def leave(self, connection: ConnectionId) -> None:
        self.all = [each for each in self.all if each.connection != connection]

    def of(self, tenant: str, job: JobId) -> list[Following]:
        return [each for each in self.all if each.tenant == tenant and each.job in (None, job)]

    def ended(self, job: JobId) -> None:
        self.all = [each for each in self.all if each.job != job]


@dataclass
class ScriptedGateway:
    """Keeps what is sent; some have gone, and some are not reached."""

    gone: set[ConnectionId] = field(default_factory=set)
    unreached: set[ConnectionId] = field(default_factory=set)
    sent: list[tuple[ConnectionId, dict[str, Any]]] = field(default_factory=list)

    def send(self, connection: ConnectionId, message: bytes) -> bool:
        if connection in self.unreached:
            raise UnavailableError("the gateway does not answer")
        if connection in self.gone:
            return False
        self.sent.append((connection, orjson.loads(message)))
        return True


@dataclass
class Keys:
    """Knows one token."""

    caller: Caller

    async def authenticate(self, credential: str | None) -> Caller:
        if credential != "secret":
            raise UnauthenticatedError("the token is not valid")
        return self.caller

    def watch(self, caller: Caller, on_end: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


@dataclass
class Stand:
    """An endpoint with all that it works with."""

    world: World = field(default_factory=make_world)
    followers: MemoryFollowers = field(default_factory=MemoryFollowers)
    gateway: ScriptedGateway = field(default_factory=ScriptedGateway)
    caller: Caller = READER

    async def take(self, body: str | dict[str, Any]) -> dict[str, Any] | None:
        """Return what a message is answered with; None for nothing."""
        endpoint = GatewayEndpoint(
            self.world.services,
            authenticator=Keys(self.caller),
            followers=self.followers,
            gateway=self.gateway,
        )
        text = body if isinstance(body, str) else orjson.dumps(body).decode()
        before = len(self.gateway.sent)
        await endpoint.take(ADA, text)
        return self.gateway.sent[-1][1] if len(self.gateway.sent) > before else None

    async def follow(self, **wanted: Any) -> dict[str, Any] | None:
        return await self.take({"action": "follow", "token": "secret", **wanted})

    def tell(self, job: str, state: JobState = JobState.RUNNING, *tags: str) -> None:
        tell_followers(
            status_of(job, state=state),
            tenant="acme",
            tags=tags,
            followers=self.followers,
            gateway=self.gateway,
        )


@pytest.fixture
def stand() -> Stand:
    return Stand()


class TestMessages:
    async def test_a_follower_gets_the_present_state_at_once(self, stand: Stand) -> None:
        stand.world.jobs.put(job_of("j1", tenant="acme"))

        answer = await stand.follow(job="j1")

        assert answer is not None
        assert (answer["type"], answer["state"]["id"]) == ("state", "j1")
        assert [(each.connection, each.job) for each in stand.followers.all] == [(ADA, "j1")]

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ("{", "VALIDATION_FAILED"),
            ("[]", "VALIDATION_FAILED"),
            ({"action": "leave"}, "VALIDATION_FAILED"),
            ({"action": "follow", "token": "secret", "job": 1}, "VALIDATION_FAILED"),
            ({"action": "follow"}, "UNAUTHENTICATED"),
            ({"action": "follow", "token": "secret", "job": "j-others"}, "NOT_FOUND"),
        ],
    )
    async def test_what_cannot_be_followed_is_told_and_not_kept(
        self, stand: Stand, message: str | dict[str, Any], code: str
    ) -> None:
        stand.world.jobs.put(job_of("j-others", tenant="other"))

        answer = await stand.take(message)

        assert answer is not None
        assert answer["error"]["code"] == code
        assert stand.followers.all == []

    async def test_who_may_not_read_may_not_follow(self, stand: Stand) -> None:
        stand.caller = replace(READER, scopes=frozenset({Scope.SUBMIT}))

        answer = await stand.follow()

        assert answer is not None
        assert answer["error"]["code"] == "FORBIDDEN"

    async def test_a_viewer_of_one_job_follows_no_feed(self, stand: Stand) -> None:
        stand.caller = replace(READER, jobs=frozenset({JobId("j1")}))

        answer = await stand.follow()

        assert answer is not None
        assert answer["error"]["code"] == "VALIDATION_FAILED"

    async def test_a_right_that_ends_sooner_ends_the_following(self, stand: Stand) -> None:
        stand.caller = replace(READER, expires_at=12.0)

        await stand.follow()

        assert [each.until_s for each in stand.followers.all] == [12.0]

    async def test_one_who_is_gone_before_the_answer_is_forgotten(self, stand: Stand) -> None:
        stand.gateway.gone = {ADA}

        assert await stand.follow() is None
        assert stand.followers.all == []


class TestTelling:
    def add(self, stand: Stand, connection: ConnectionId, **changes: Any) -> None:
        plain = Following(connection, "acme", JobId("j1"), None, float("inf"))
        stand.followers.add(replace(plain, **changes))

    def test_one_who_follows_a_job_in_two_ways_is_told_once(self, stand: Stand) -> None:
        self.add(stand, ADA)
        self.add(stand, ADA, job=None)

        stand.tell("j1")

        assert [connection for connection, _ in stand.gateway.sent] == [ADA]

    def test_only_the_wanted_tag_is_told_of_and_nobody_whose_right_is_over(
        self, stand: Stand
    ) -> None:
        self.add(stand, ADA, job=None, tag="mine")
        self.add(stand, BOB, until_s=0.0)

        stand.tell("j1")
        stand.tell("j1", JobState.RUNNING, "mine")

        assert [connection for connection, _ in stand.gateway.sent] == [ADA]

    def test_who_has_gone_is_forgotten_and_the_others_are_told(self, stand: Stand) -> None:
        self.add(stand, ADA)
        self.add(stand, BOB)
        stand.gateway.gone = {ADA}

        stand.tell("j1")

        assert [connection for connection, _ in stand.gateway.sent] == [BOB]
        assert [each.connection for each in stand.followers.all] == [BOB]

    def test_who_is_not_reached_holds_up_nobody_and_is_told_of(self, stand: Stand) -> None:
        self.add(stand, ADA)
        self.add(stand, BOB)
        stand.gateway.unreached = {ADA}

        with pytest.raises(UnavailableError):
            stand.tell("j1", JobState.SUCCEEDED)

        assert [connection for connection, _ in stand.gateway.sent] == [BOB]
        assert len(stand.followers.all) == 2

    def test_after_the_end_a_job_is_followed_no_more(self, stand: Stand) -> None:
        self.add(stand, ADA)
        self.add(stand, BOB, job=None)

        stand.tell("j1", JobState.SUCCEEDED)

        assert [each.connection for each in stand.followers.all] == [BOB]

    def test_rows_are_left_out_of_what_would_be_long(self) -> None:
        status = replace(status_of("j1"), result=[{"row": "x" * 100}] * 1_000)

        message = state_message(status)

        assert message["state"]["result"] is None
        assert len(orjson.dumps(message)) < MAX_BYTES
