"""Who calls the REST face of a service that asks: keys, scopes, tenants, quotas, secrets."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support.receiver import receiving
from tests.support.running import RunningService, fanfold, free_port, running_service

pytestmark = pytest.mark.anyio

WORDCOUNT = {"program": "wordcount", "source": {"inline": ["a b"]}, "waitUpToMs": 20_000}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that wants keys, where a tenant may submit a few jobs a minute."""
    folder = tmp_path_factory.mktemp("callers")
    (folder / "sources").mkdir()
    settings = {
        "FANFOLD_AUTH": "keys",
        "FANFOLD_WEBHOOK_HOSTS": "127.0.0.1",
        "FANFOLD_QUOTA_SUBMITS_PER_MINUTE": "6",
    }
    with running_service(
        folder / "data", folder / "sources", port=free_port(), settings=settings
    ) as running:
        yield running


@pytest.fixture
async def rest(service: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=40) as client:
        yield client


def key_of(service: RunningService, tenant: str, scope: str = "read,submit,manage") -> str:
    """Make a key."""
    made = fanfold(
        *("key", "create", "--tenant", tenant, "--scope", scope),
        environ={"FANFOLD_DATA_DIR": str(service.data_dir), "FANFOLD_AUTH": "keys"},
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def by(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def secret_of(rest: httpx.AsyncClient, key: str) -> str | None:
    asked = {"query": "{ viewer { webhookSecret } }"}
    answer = (await rest.post("/graphql", json=asked, headers=by(key))).json()
    secret: str | None = answer["data"]["viewer"]["webhookSecret"]
    return secret


async def test_only_who_is_known_may_submit(
    service: RunningService, rest: httpx.AsyncClient
) -> None:
    key = key_of(service, "known")

    assert (await rest.post("/jobs", json=WORDCOUNT)).status_code == 401
    assert (await rest.post("/jobs", json=WORDCOUNT, headers=by("ff_no"))).status_code == 401
    assert (await rest.post("/jobs", json=WORDCOUNT, headers=by(key))).status_code == 200


async def test_another_tenant_finds_nothing(
    service: RunningService, rest: httpx.AsyncClient
) -> None:
    mine, theirs = key_of(service, "mine"), key_of(service, "theirs")
    job = (await rest.post("/jobs", json=WORDCOUNT, headers=by(mine))).json()["id"]

    for method, path in [("GET", ""), ("GET", "/result"), ("GET", "/result/files"), ("DELETE", "")]:
        answer = await rest.request(method, f"/jobs/{job}{path}", headers=by(theirs))
        assert answer.status_code == 404
    assert (await rest.get(f"/jobs/{job}/result", headers=by(mine))).status_code == 200


async def test_a_key_that_may_only_read_is_told_so(
    service: RunningService, rest: httpx.AsyncClient
) -> None:
    key = key_of(service, "readers", "read")

    answer = await rest.post("/jobs", json=WORDCOUNT, headers=by(key))

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert await secret_of(rest, key) is None


async def test_who_submits_too_often_is_told_when_to_come_again(
    service: RunningService, rest: httpx.AsyncClient
) -> None:
    key = key_of(service, "busy")
    answers = [await rest.post("/jobs", json=WORDCOUNT, headers=by(key)) for _ in range(20)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["code"] == "QUOTA_EXCEEDED"
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].json()["retryable"] is True


async def test_each_tenant_has_a_secret_of_its_own(
    service: RunningService, rest: httpx.AsyncClient
) -> None:
    one, other = key_of(service, "one"), key_of(service, "other")
    with receiving() as receiver:
        await rest.post("/jobs", json={**WORDCOUNT, "webhook": receiver.url()}, headers=by(one))
        [received] = await receiver.wait_for(1)
    sent = dict(part.split("=", 1) for part in received.headers["fanfold-signature"].split(","))
    signed = sent["t"].encode() + b"." + received.body

    def with_secret(secret: str | None) -> str:
        assert secret is not None
        return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()

    assert with_secret(await secret_of(rest, one)) == sent["v1"]
    assert with_secret(await secret_of(rest, other)) != sent["v1"]
