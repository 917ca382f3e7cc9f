"""Who calls, told over a real Redis: keys, tokens, and how soon an end of them is noticed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.https.jwks import HttpxJwks
from adapters.pyjwt_tokens import ALGORITHMS, Provider, PyJwtTokens
from adapters.redis.bell import RedisBell
from adapters.redis.client import connect, reply
from adapters.redis.keys import KEYS, RedisKeys
from engine.api_keys import ApiKey, ApiKeys, Secret, digest_of
from engine.errors import (
    ForbiddenError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from engine.job import JobId
from engine.signing import Grant, Signer
from resolvers.access.caller import LOCAL_CALLER, Caller, Scope
from resolvers.access.credentials import Credentials
from resolvers.access.viewer_tokens import PREFIX, ViewerTokens, create_viewer_token
from tests.support.identity_provider import (
    AUDIENCE,
    ISSUER,
    IdentityProvider,
    identity_provider,
)
from tests.support.memory import ADA, World, job_of, make_world
from tests.support.own_redis import own_redis_in
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

ENDS_WITHIN_S = 5.0
SIGNER = Signer(b"a key of a test's own")


@pytest.fixture
def keys(redis: Redis) -> RedisKeys:
    return RedisKeys(redis)


@pytest.fixture
async def bell(redis: Redis, redis_server: str) -> AsyncIterator[RedisBell]:
    client = connect(redis_server)
    async with RedisBell(client) as bell:
        yield bell
    await client.aclose()


@pytest.fixture
async def credentials(keys: RedisKeys, bell: RedisBell) -> AsyncIterator[Credentials]:
    async with Credentials(viewer_tokens=ViewerTokens(SIGNER), bell=bell, keys=keys) as credentials:
        yield credentials


@pytest.fixture
async def open_to_all(bell: RedisBell) -> AsyncIterator[Credentials]:
    """Where nobody is asked who they are."""
    async with Credentials(viewer_tokens=ViewerTokens(SIGNER), bell=bell) as credentials:
        yield credentials


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@asynccontextmanager
async def with_jwt(
    bell: RedisBell, provider: IdentityProvider, keys: RedisKeys | None = None
) -> AsyncIterator[Credentials]:
    async with HttpxJwks(provider.url, algorithms=ALGORITHMS) as jwks:
        tokens = PyJwtTokens(Provider(ISSUER, AUDIENCE), jwks)
        async with Credentials(
            viewer_tokens=ViewerTokens(SIGNER), bell=bell, keys=keys, verifier=tokens
        ) as credentials:
            yield credentials


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = make_world(roots=[tmp_path])
    world.jobs.put(job_of("j-1"))
    world.jobs.put(job_of("j-2"))
    world.jobs.put(job_of("j-other", tenant="other"))
    async with world.hub:
        yield world


async def make_key(
    keys: ApiKeys,
    *,
    tenant: str = "acme",
    scopes: tuple[str, ...] = ("read", "submit"),
    expires_in_s: float | None = None,
) -> Secret:
    secret, now = Secret.make(), datetime.now(UTC)
    expires_at = None if expires_in_s is None else now + timedelta(seconds=expires_in_s)
    await keys.add(
        ApiKey(
            id=secret.id,
            digest=digest_of(secret.secret),
            tenant=tenant,
            scopes=scopes,
            name="loader",
            created_at=now,
            expires_at=expires_at,
        )
    )
    return secret


async def refusal_of(credentials: Credentials, shown: str | None) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        await credentials.authenticate(shown)
    return caught.value.message


async def ended(credentials: Credentials, caller: Caller) -> asyncio.Event:
    """Return what is set when the caller's credential ends."""
    event = asyncio.Event()
    credentials.watch(caller, event.set)
    return event


class TestKeys:
    async def test_a_key_stands_for_a_tenant_and_its_scopes(
        self, credentials: Credentials, keys: RedisKeys
    ) -> None:
        secret = await make_key(keys)

        caller = await credentials.authenticate(str(secret))

        assert caller == Caller("loader", "acme", frozenset({Scope.READ, Scope.SUBMIT}))
        assert caller.credential == f"key:{secret.id}"

    async def test_what_is_kept_lets_nobody_in(
        self, credentials: Credentials, keys: RedisKeys, redis: Redis
    ) -> None:
        secret = await make_key(keys)

        (stored,) = await reply(redis.hvals(KEYS))
        (key,) = await keys.get([secret.id])

        assert secret.secret.encode() not in stored
        assert key is not None
        assert secret.secret not in repr(secret)
        await refusal_of(credentials, f"fan_{secret.id}_{key.digest[:43]}")

    async def test_all_that_is_wrong_is_refused_in_the_same_words(
        self, credentials: Credentials, keys: RedisKeys
    ) -> None:
        known, revoked = await make_key(keys), await make_key(keys)
        await keys.revoke(revoked.id)
        over = await make_key(keys, expires_in_s=-1)

        told = {
            await refusal_of(credentials, shown)
            for shown in (
                str(Secret.make()),
                str(revoked),
                str(over),
                f"fan_{known.id}_{Secret.make().secret}",
                f"fan_{Secret.make().id}_{known.secret}",
                f"{known}x",
                str(known).upper(),
                "fan_",
                "nonsense",
                "x" * 100_000,
                "fan_\ud800",
                f"{PREFIX}nonsense",
                "e30.e30.e30",
            )
        }

        assert told == {"the token is not valid"}

    async def test_nothing_at_all_is_told_what_is_missing(self, credentials: Credentials) -> None:
        assert "a token is needed" in await refusal_of(credentials, None)
        assert "a token is needed" in await refusal_of(credentials, "")

    async def test_guessing_becomes_slow_and_the_right_key_is_not(
        self, credentials: Credentials, keys: RedisKeys, caplog: pytest.LogCaptureFixture
    ) -> None:
        secret = await make_key(keys)
        guesses = [
            asyncio.create_task(refusal_of(credentials, str(Secret.make()))) for _ in range(150)
        ]
        await eventually_async(lambda: sum(guess.done() for guess in guesses) >= 100)

        assert (await credentials.authenticate(str(secret))).tenant == "acme"
        assert not all(guess.done() for guess in guesses)
        await asyncio.gather(*guesses)
        assert [record.message[:24] for record in caplog.records] == ["many tokens are refused:"]


class TestEnds:
    async def test_a_revoked_key_ends_what_is_open(
        self, credentials: Credentials, keys: RedisKeys
    ) -> None:
        secret, other = await make_key(keys), await make_key(keys)
        events = [
            await ended(credentials, await credentials.authenticate(str(secret))) for _ in range(3)
        ]
        spared = await ended(credentials, await credentials.authenticate(str(other)))

        await keys.revoke(secret.id)

        async with asyncio.timeout(ENDS_WITHIN_S):
            await asyncio.gather(*(event.wait() for event in events))
        assert not spared.is_set()

    async def test_a_revoked_key_is_refused_although_it_was_known(
        self, credentials: Credentials, keys: RedisKeys
    ) -> None:
        secret = await make_key(keys)
        event = await ended(credentials, await credentials.authenticate(str(secret)))

        await keys.revoke(secret.id)

        async with asyncio.timeout(ENDS_WITHIN_S):
            await event.wait()
        await refusal_of(credentials, str(secret))

    async def test_a_revocation_that_did_not_ring_is_found(
        self, credentials: Credentials, keys: RedisKeys, redis: Redis
    ) -> None:
        secret = await make_key(keys)
        event = await ended(credentials, await credentials.authenticate(str(secret)))

        await reply(redis.hdel(KEYS, secret.id))

        async with asyncio.timeout(ENDS_WITHIN_S):
            await event.wait()

    async def test_a_redis_that_was_away_costs_nobody_their_connection(
        self, tmp_path: Path
    ) -> None:
        with own_redis_in(tmp_path, keeps=True) as server:
            server.start()
            clients = [connect(server.url) for _ in range(2)]
            keys = RedisKeys(clients[0])
            secret = await make_key(keys)
            async with (
                RedisBell(clients[1]) as bell,
                Credentials(
                    viewer_tokens=ViewerTokens(SIGNER), bell=bell, keys=keys
                ) as credentials,
            ):
                event = await ended(credentials, await credentials.authenticate(str(secret)))
                server.kill()
                with pytest.raises(UnavailableError):
                    await credentials.authenticate(str(Secret.make()))
                assert not event.is_set()
                server.start()

                assert await keys.revoke(secret.id)

                async with asyncio.timeout(ENDS_WITHIN_S):
                    await event.wait()
            for client in clients:
                await client.aclose()

    async def test_a_key_that_expires_ends_what_is_open(
        self, credentials: Credentials, keys: RedisKeys
    ) -> None:
        secret = await make_key(keys, expires_in_s=0.5)
        event = await ended(credentials, await credentials.authenticate(str(secret)))

        async with asyncio.timeout(0.5 + ENDS_WITHIN_S):
            await event.wait()
        await refusal_of(credentials, str(secret))

    async def test_who_left_is_not_called(self, credentials: Credentials, keys: RedisKeys) -> None:
        secret = await make_key(keys)
        caller = await credentials.authenticate(str(secret))
        gone: list[str] = []
        leave = credentials.watch(caller, lambda: gone.append("called"))
        event = await ended(credentials, caller)
        leave()
        leave()

        await keys.revoke(secret.id)

        async with asyncio.timeout(ENDS_WITHIN_S):
            await event.wait()
        assert gone == []

    async def test_ten_thousand_with_one_key_cost_one_look(
        self, credentials: Credentials, keys: RedisKeys
    ) -> None:
        secret = await make_key(keys)
        caller = await credentials.authenticate(str(secret))
        calls: list[int] = []
        for number in range(10_000):
            credentials.watch(caller, lambda number=number: calls.append(number))  # type: ignore[misc]

        await keys.revoke(secret.id)

        await eventually_async(lambda: len(calls) == 10_000, within_s=ENDS_WITHIN_S)
        assert sorted(calls) == list(range(10_000))


class TestTokens:
    async def test_a_provider_s_token_gives_tenant_and_scopes(
        self, bell: RedisBell, provider: IdentityProvider
    ) -> None:
        async with with_jwt(bell, provider) as credentials:
            caller = await credentials.authenticate(provider.token(scope="openid read admin"))

        assert caller == Caller("ada", "acme", frozenset({Scope.READ, Scope.ADMIN}))
        assert caller.has(Scope.MANAGE)

    @pytest.mark.parametrize("tenant", ["", "a/b", "../x", ".x", "a:b", "x" * 65, "a\nb", "ä"])
    async def test_a_tenant_that_would_mean_something_to_a_store_is_refused(
        self, bell: RedisBell, provider: IdentityProvider, tenant: str
    ) -> None:
        async with with_jwt(bell, provider) as credentials:
            await refusal_of(credentials, provider.token(tenant=tenant))

    @pytest.mark.parametrize("subject", ["", "x" * 201, "a\nb", "\ud800"])
    async def test_a_subject_that_cannot_be_shown_is_refused(
        self, bell: RedisBell, provider: IdentityProvider, subject: str
    ) -> None:
        async with with_jwt(bell, provider) as credentials:
            await refusal_of(credentials, provider.token(sub=subject))

    async def test_a_token_that_expires_ends_what_is_open(
        self, bell: RedisBell, provider: IdentityProvider
    ) -> None:
        expires = int(time.time()) + 2
        async with with_jwt(bell, provider) as credentials:
            token = provider.token(exp=expires)
            event = await ended(credentials, await credentials.authenticate(token))

            async with asyncio.timeout(2 + ENDS_WITHIN_S):
                await event.wait()
            assert time.time() >= expires
            await refusal_of(credentials, token)

    async def test_keys_and_tokens_count_side_by_side(
        self, bell: RedisBell, provider: IdentityProvider, keys: RedisKeys
    ) -> None:
        secret = await make_key(keys)

        async with with_jwt(bell, provider, keys) as credentials:
            assert (await credentials.authenticate(str(secret))).subject == "loader"
            assert (await credentials.authenticate(provider.token())).subject == "ada"

    async def test_what_the_deployment_does_not_take_is_refused(
        self, bell: RedisBell, provider: IdentityProvider, keys: RedisKeys, credentials: Credentials
    ) -> None:
        secret = await make_key(keys)

        async with with_jwt(bell, provider) as only_tokens:
            await refusal_of(only_tokens, str(secret))
        await refusal_of(credentials, provider.token())


class TestViewers:
    async def make(
        self, world: World, caller: Caller = ADA, *, jobs: tuple[str, ...] = ("j-1",), ttl: int = 60
    ) -> str:
        services = world.services
        made = await create_viewer_token(services, caller=caller, job_ids=jobs, ttl_seconds=ttl)
        assert re.fullmatch(r"[A-Za-z0-9_-]+", made.token)
        return made.token

    async def test_a_token_reads_its_jobs_and_no_more(
        self, open_to_all: Credentials, world: World
    ) -> None:
        caller = await open_to_all.authenticate(await self.make(world, jobs=("j-1", "j-2", "j-1")))

        assert (caller.subject, caller.tenant) == ("ada", "acme")
        assert caller.scopes == {Scope.READ}
        assert caller.jobs == frozenset({JobId("j-1"), JobId("j-2")})

    async def test_everybody_is_local_where_nobody_is_asked_but_a_viewer(
        self, bell: RedisBell, world: World
    ) -> None:
        async with Credentials(viewer_tokens=ViewerTokens(SIGNER), bell=bell) as credentials:
            assert await credentials.authenticate(None) is LOCAL_CALLER
            assert await credentials.authenticate("whatever") is LOCAL_CALLER
            viewer = await credentials.authenticate(await self.make(world))
            assert viewer.jobs == frozenset({JobId("j-1")})
            await refusal_of(credentials, f"{PREFIX}whatever")

    async def test_a_token_ends_by_itself(self, open_to_all: Credentials, world: World) -> None:
        token = await self.make(world, ttl=1)
        event = await ended(open_to_all, await open_to_all.authenticate(token))

        async with asyncio.timeout(1 + ENDS_WITHIN_S):
            await event.wait()
        await refusal_of(open_to_all, token)

    async def test_a_token_ends_with_the_key_that_it_was_made_with(
        self, credentials: Credentials, keys: RedisKeys, world: World
    ) -> None:
        secret = await make_key(keys)
        maker = await credentials.authenticate(str(secret))
        token = await self.make(world, maker)
        event = await ended(credentials, await credentials.authenticate(token))

        await keys.revoke(secret.id)

        async with asyncio.timeout(ENDS_WITHIN_S):
            await event.wait()
        await refusal_of(credentials, token)

    async def test_a_token_does_not_outlive_its_key(
        self, credentials: Credentials, keys: RedisKeys, world: World
    ) -> None:
        secret = await make_key(keys, expires_in_s=30)
        maker = await credentials.authenticate(str(secret))

        viewer = await credentials.authenticate(await self.make(world, maker, ttl=86_400))

        assert viewer.expires_at == maker.expires_at

    async def test_a_changed_token_is_refused(self, open_to_all: Credentials, world: World) -> None:
        token = await self.make(world)
        for place in range(len(PREFIX), len(token), 7):
            other = "A" if token[place] != "A" else "B"
            await refusal_of(open_to_all, f"{token[:place]}{other}{token[place + 1 :]}")

    async def test_another_deployment_s_token_is_refused(
        self, bell: RedisBell, world: World
    ) -> None:
        other = ViewerTokens(Signer(b"a key of somebody else"))
        async with Credentials(viewer_tokens=other, bell=bell) as credentials:
            await refusal_of(credentials, await self.make(world))

    async def test_an_address_of_a_file_is_no_token_and_the_reverse(
        self, open_to_all: Credentials, world: World
    ) -> None:
        grant = SIGNER.sign(Grant("GET", "acme", "blob", int(time.time()) + 60))
        token = (await self.make(world)).removeprefix(PREFIX)

        await refusal_of(open_to_all, PREFIX + grant)
        assert SIGNER.verify(token, method="GET", now_s=time.time()) is None

    async def test_a_foreign_job_is_told_of_as_an_unknown_one(self, world: World) -> None:
        told = []
        for job in ("j-other", "j-unknown"):
            with pytest.raises(NotFoundError) as caught:
                await self.make(world, jobs=("j-1", job))
            told.append(caught.value.message.replace(job, "ID"))

        assert told[0] == told[1]

    async def test_a_viewer_makes_no_others(self, open_to_all: Credentials, world: World) -> None:
        viewer = await open_to_all.authenticate(await self.make(world))

        with pytest.raises(ForbiddenError):
            await self.make(world, viewer)

    @pytest.mark.parametrize(("jobs", "ttl"), [(0, 60), (101, 60), (1, 0), (1, 86_401), (1, -5)])
    async def test_what_is_out_of_range_is_told(self, world: World, jobs: int, ttl: int) -> None:
        with pytest.raises(InputError):
            await self.make(world, jobs=tuple(f"j-{n}" for n in range(jobs)), ttl=ttl)

    async def test_a_token_made_in_a_way_that_no_longer_counts_is_refused(
        self,
        credentials: Credentials,
        open_to_all: Credentials,
        keys: RedisKeys,
        bell: RedisBell,
        provider: IdentityProvider,
        world: World,
    ) -> None:
        by_key = await credentials.authenticate(str(await make_key(keys)))
        async with with_jwt(bell, provider) as only_tokens:
            by_token = await only_tokens.authenticate(provider.token())
            made = [await self.make(world, maker) for maker in (ADA, by_key, by_token)]
            for taken, here in zip((open_to_all, credentials, only_tokens), range(3), strict=True):
                for number, token in enumerate(made):
                    if number == here:
                        assert (await taken.authenticate(token)).tenant == "acme"
                    else:
                        await refusal_of(taken, token)
