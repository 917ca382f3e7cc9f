"""Tokens of an identity provider: real keys, fetched over HTTP, and every way to get in wrongly."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.https.jwks import HttpxJwks
from adapters.pyjwt_tokens import ALGORITHMS, Provider, PyJwtTokens
from engine.errors import UnauthenticatedError, UnavailableError
from tests.support.identity_provider import (
    AUDIENCE,
    ISSUER,
    IdentityProvider,
    identity_provider,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: IdentityProvider) -> IdentityProvider:
    """The provider as it is at first."""
    running.published, running.extra = set(running.keys), []
    running.status, running.fetches = 200, 0
    return running


@pytest.fixture
async def tokens(provider: IdentityProvider) -> AsyncIterator[PyJwtTokens]:
    async with HttpxJwks(provider.url, algorithms=ALGORITHMS) as jwks:
        yield PyJwtTokens(Provider(ISSUER, AUDIENCE), jwks)


async def is_refused(tokens: PyJwtTokens, token: str) -> bool:
    try:
        await tokens.verify(token)
    except UnauthenticatedError:
        return True
    return False


def unsigned(header: dict[str, Any], payload: dict[str, Any]) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, payload)
    ]
    return ".".join(parts)


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
async def test_a_token_of_each_algorithm_is_read(
    tokens: PyJwtTokens, provider: IdentityProvider, kid: str
) -> None:
    expires = int(time.time()) + 300

    claims = await tokens.verify(provider.token(kid, exp=expires))

    assert (claims.subject, claims.tenant, claims.expires_at) == ("ada", "acme", expires)
    assert claims.scopes == {"openid", "read", "submit"}


async def test_an_audience_among_others_will_do(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    assert not await is_refused(tokens, provider.token(aud=["other", AUDIENCE]))


async def test_the_tenant_may_have_another_claim(provider: IdentityProvider) -> None:
    async with HttpxJwks(provider.url, algorithms=ALGORITHMS) as jwks:
        tokens = PyJwtTokens(Provider(ISSUER, AUDIENCE, tenant_claim="https://x/org"), jwks)

        named: dict[str, Any] = {"tenant": None, "https://x/org": "umbrella"}
        claims = await tokens.verify(provider.token(**named))

    assert claims.tenant == "umbrella"


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"aud": None},
        {"iss": None},
        {"tenant": None},
        {"sub": 7},
        {"tenant": 7},
        {"scope": ["read"]},
        {"aud": "other"},
        {"aud": [AUDIENCE, 7]},
        {"iss": "https://login.test"},
        {"iat": NOW - 900, "exp": NOW - 1},
        {"exp": NOW + 10 * 365 * 86_400},
        {"iat": NOW - 3_600, "exp": NOW + 600},
        {"iat": NOW + 3_000, "exp": NOW + 3_100},
        {"nbf": NOW + 3_000},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"exp": float("nan")},
    ],
)
async def test_a_token_with_wrong_claims_is_refused(
    tokens: PyJwtTokens, provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    assert await is_refused(tokens, provider.token(**claims))


async def test_the_providers_clock_may_be_a_little_ahead(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    claims = await tokens.verify(provider.token(iat=int(time.time()) + 30))

    assert claims.subject == "ada"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 7])
async def test_a_token_without_a_signature_is_refused(
    tokens: PyJwtTokens, provider: IdentityProvider, algorithm: object
) -> None:
    payload = jwt.decode(provider.token(), options={"verify_signature": False})

    for signature in ("", "AAAA"):
        token = f"{unsigned({'alg': algorithm, 'kid': 'ec'}, payload)}.{signature}"
        assert await is_refused(tokens, token)


async def test_a_public_key_is_no_secret_to_sign_with(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    payload = jwt.decode(provider.token(), options={"verify_signature": False})
    public = provider.keys["rsa"][1].public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = unsigned({"alg": "HS256", "kid": "rsa"}, payload)
    mac = hmac.digest(pem, signed.encode(), "sha256")
    token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    assert await is_refused(tokens, token)


async def test_the_algorithm_is_the_keys_not_the_tokens(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    assert await is_refused(tokens, provider.token("ec", headers={"kid": "rsa"}))
    assert await is_refused(tokens, provider.token("rsa", headers={"kid": "ed"}))


async def test_another_key_of_the_same_name_does_not_count(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    payload = jwt.decode(provider.token(), options={"verify_signature": False})
    stranger = ec.generate_private_key(ec.SECP256R1())

    token = jwt.encode(payload, stranger, "ES256", headers={"kid": "ec"})

    assert await is_refused(tokens, token)


async def test_a_token_that_brings_its_own_key_is_refused(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    payload = jwt.decode(provider.token(), options={"verify_signature": False})
    stranger = ec.generate_private_key(ec.SECP256R1())
    for header in ("jwk", "jku", "x5u"):
        own = provider.public_jwk("ec") if header == "jwk" else "http://127.0.0.1:1/"
        token = jwt.encode(payload, stranger, "ES256", headers={"kid": "ec", header: own})
        assert await is_refused(tokens, token)


async def test_a_token_that_asks_for_what_we_do_not_know_is_refused(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    asks = {"crit": ["https://x/secret-handshake"], "https://x/secret-handshake": 1}

    assert await is_refused(tokens, provider.token(headers=asks))


async def test_a_changed_token_is_refused(tokens: PyJwtTokens, provider: IdentityProvider) -> None:
    header, payload, signature = provider.token().split(".")
    other = provider.token(tenant="other").split(".")[1]

    assert await is_refused(tokens, f"{header}.{other}.{signature}")
    assert await is_refused(tokens, f"{header}.{payload}.")
    assert await is_refused(tokens, f"{header}.{payload}")


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "é.é.é", "fan_x", "\ud800.a.b", "x" * 9_000, "[" * 4_000 + ".a.b"],
    ids=lambda text: text[:8].encode("ascii", "replace").decode(),
)
async def test_what_is_no_token_is_refused_without_asking_for_keys(
    tokens: PyJwtTokens, provider: IdentityProvider, text: str
) -> None:
    assert await is_refused(tokens, text)
    assert provider.fetches == 0


async def test_a_token_that_names_no_key_is_refused(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    for kid in ("", "x" * 300):
        assert await is_refused(tokens, provider.token(headers={"kid": kid}))


async def test_keys_are_fetched_once_for_many_at_once(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    await asyncio.gather(*(tokens.verify(provider.token()) for _ in range(20)))

    assert provider.fetches == 1


async def test_unknown_keys_cause_one_fetch_in_a_while(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    await tokens.verify(provider.token())

    for number in range(20):
        assert await is_refused(tokens, provider.token(headers={"kid": f"unknown-{number}"}))

    # The first fetch was a moment ago, so that not even one more is due.
    assert provider.fetches == 1
    assert not await is_refused(tokens, provider.token())


async def test_a_new_key_works_at_once_and_a_withdrawn_one_no_longer(
    provider: IdentityProvider,
) -> None:
    provider.published = {"ec"}
    async with HttpxJwks(provider.url, algorithms=ALGORITHMS, unknown_every_s=0) as jwks:
        tokens = PyJwtTokens(Provider(ISSUER, AUDIENCE), jwks)
        await tokens.verify(provider.token("ec"))
        provider.published = {"ed"}

        assert not await is_refused(tokens, provider.token("ed"))
        assert await is_refused(tokens, provider.token("ec"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_keys_for_anything_else_are_left_out(provider: IdentityProvider) -> None:
    secret = base64.urlsafe_b64encode(b"k" * 32).decode()
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    provider.keys["weak"] = ("RS256", weak)
    payload = jwt.decode(provider.token(), options={"verify_signature": False})
    provider.extra = [
        {"kty": "oct", "k": secret, "kid": "oct", "alg": "HS256"},
        {**provider.public_jwk("rsa"), "kid": "for-encryption", "use": "enc"},
        {"kty": "RSA", "kid": "broken"},
        {"kid": 7},
        provider.public_jwk("weak"),
        "no key",  # type: ignore[list-item]
    ]
    try:
        async with HttpxJwks(provider.url, algorithms=ALGORITHMS) as jwks:
            tokens = PyJwtTokens(Provider(ISSUER, AUDIENCE), jwks)
            assert not await is_refused(tokens, provider.token())
            forged = jwt.encode(payload, b"k" * 32, "HS256", headers={"kid": "oct"})
            assert await is_refused(tokens, forged)
            for kid in ("for-encryption", "broken"):
                assert await is_refused(tokens, provider.token("rsa", headers={"kid": kid}))
            assert await is_refused(tokens, provider.token("weak"))
    finally:
        del provider.keys["weak"]


async def test_without_keys_nobody_can_be_told_apart(
    tokens: PyJwtTokens, provider: IdentityProvider
) -> None:
    provider.status = 503

    with pytest.raises(UnavailableError):
        await tokens.verify(provider.token())


async def test_a_redirect_is_not_followed(tokens: PyJwtTokens, provider: IdentityProvider) -> None:
    provider.status = 302

    with pytest.raises(UnavailableError):
        await tokens.verify(provider.token())
