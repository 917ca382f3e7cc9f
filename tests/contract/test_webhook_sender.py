"""Sending webhooks: a real server with TLS, whose name is looked up by the test."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from adapters.https.name_look_ups import AT_ONCE, AT_ONCE_OF_A_TENANT
from adapters.https.webhooks import HttpxWebhooks
from engine.errors import InputError, UnavailableError
from engine.source.addresses import Address
from tests.support.waiting import eventually_async
from tests.support.web_server import HOST, Exchange, Site, web_server

pytestmark = pytest.mark.anyio

HEADERS = {"Content-Type": "application/json"}
PUBLIC = "93.184.215.14"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with web_server(tmp_path) as running:
        running.pages["/hook"] = lambda exchange: exchange.send(204)
        running.pages["/away"] = lambda exchange: exchange.send(307, Location=running.url("/hook"))
        yield running


class Names:
    """What names mean; each look-up takes the next of several meanings."""

    def __init__(self, **addresses: str) -> None:
        self._addresses = {name.replace("_", "."): found for name, found in addresses.items()}

    def resolve(self, host: str, port: int) -> list[Address]:
        found = self._addresses.get(host)
        if found is None:
            raise OSError("no such name")
        now, _, later = found.partition(" then ")
        self._addresses[host] = later or now
        return [ip_address(text) for text in now.split()]


def webhooks_of(site: Site, *hosts: str, deadline_s: float = 10, **names: str) -> HttpxWebhooks:
    known = Names(**{"files_test": "127.0.0.1", **names})
    return HttpxWebhooks(hosts, tls=site.tls, resolve=known.resolve, deadline_s=deadline_s)


async def test_a_body_is_sent_to_the_name_that_is_meant(site: Site) -> None:
    with webhooks_of(site, HOST) as webhooks:
        status = await webhooks.send(
            site.url("/hook?a=b"), tenant="acme", headers=HEADERS, body=b"{}"
        )

    assert status == 204
    assert site.requests == [f"{HOST}:{site.port} /hook?a=b None"]


async def test_a_redirect_is_an_answer(site: Site) -> None:
    with webhooks_of(site, HOST) as webhooks:
        status = await webhooks.send(site.url("/away"), tenant="acme", headers=HEADERS, body=b"{}")

    assert status == 307
    assert len(site.requests) == 1


async def test_a_certificate_of_another_name_is_no_answer(site: Site) -> None:
    with (
        webhooks_of(site, "other.test", other_test="127.0.0.1") as webhooks,
        pytest.raises(UnavailableError, match="certificate"),
    ):
        await webhooks.send(
            site.url("/hook", host="other.test"), tenant="acme", headers=HEADERS, body=b"{}"
        )

    assert site.requests == []


@pytest.mark.parametrize("addresses", ["127.0.0.1", f"{PUBLIC} 127.0.0.1", "::ffff:10.0.0.1"])
async def test_a_private_address_is_refused_at_submit(site: Site, addresses: str) -> None:
    with (
        webhooks_of(site, files_test=addresses) as webhooks,
        pytest.raises(InputError, match="not public"),
    ):
        await webhooks.check(site.url("/hook"), tenant="acme")


async def test_a_name_that_turns_private_is_refused_at_the_connection(site: Site) -> None:
    with webhooks_of(site, files_test=f"{PUBLIC} then 127.0.0.1") as webhooks:
        await webhooks.check(site.url("/hook"), tenant="acme")

        with pytest.raises(UnavailableError, match="not public"):
            await webhooks.send(site.url("/hook"), tenant="acme", headers=HEADERS, body=b"{}")

    assert site.requests == []


async def test_a_host_may_be_let_through_with_its_port_alone(site: Site) -> None:
    with webhooks_of(site, f"{HOST}:{site.port}") as webhooks:
        await webhooks.check(site.url("/hook"), tenant="acme")

        with pytest.raises(InputError, match="not public"):
            await webhooks.check(f"https://{HOST}/hook", tenant="acme")


async def test_plain_http_is_for_loopback_alone(site: Site) -> None:
    with webhooks_of(site, "inside.test", inside_test="10.0.0.1") as webhooks:
        await webhooks.check("https://inside.test/hook", tenant="acme")

        with pytest.raises(InputError, match="loopback"):
            await webhooks.check("http://inside.test/hook", tenant="acme")


async def test_a_name_that_nobody_knows_is_refused(site: Site) -> None:
    with webhooks_of(site) as webhooks:
        with pytest.raises(InputError, match="not known"):
            await webhooks.check("https://nowhere.test/hook", tenant="acme")
        with pytest.raises(UnavailableError, match="not known"):
            await webhooks.send("https://nowhere.test/hook", tenant="acme", headers={}, body=b"")


async def test_callers_do_not_learn_what_names_there_are_inside(site: Site) -> None:
    with webhooks_of(site, inside_test="10.0.0.1") as webhooks:
        with pytest.raises(InputError) as private:
            await webhooks.check("https://inside.test/hook", tenant="acme")
        with pytest.raises(InputError) as unknown:
            await webhooks.check("https://nowhere.test/hook", tenant="acme")

    assert private.value.issues == unknown.value.issues


class SlowNames:
    """What some names mean is not told before ``answers`` is set; good ones are told at once."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked: list[str] = []

    def resolve(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        if host != HOST:
            self.answers.wait(30)
        return [ip_address(PUBLIC)]


async def test_one_tenants_slow_names_hold_up_nobody_elses() -> None:
    names = SlowNames()
    with HttpxWebhooks(resolve=names.resolve) as webhooks:
        slow = [
            asyncio.create_task(webhooks.check(f"https://slow{index}.test/", tenant="alpha"))
            for index in range(AT_ONCE)
        ]
        await eventually_async(lambda: len(names.asked) == AT_ONCE_OF_A_TENANT)

        await webhooks.check(f"https://{HOST}/", tenant="beta")

        assert len(names.asked) == AT_ONCE_OF_A_TENANT + 1
        names.answers.set()
        await asyncio.gather(*slow)
    assert len(names.asked) == AT_ONCE + 1


async def test_a_look_up_that_was_given_up_keeps_its_turn_until_it_ends() -> None:
    names = SlowNames()
    slow, quick = "https://slow.test/", f"https://{HOST}/"
    with HttpxWebhooks(resolve=names.resolve, look_up_within_s=0.5) as webhooks:
        given_up = await asyncio.gather(
            *(webhooks.check(slow, tenant="alpha") for _ in range(AT_ONCE_OF_A_TENANT)),
            return_exceptions=True,
        )
        with pytest.raises(UnavailableError, match="could not be looked up in time") as raised:
            await webhooks.check(quick, tenant="alpha")
        assert names.asked == ["slow.test"] * AT_ONCE_OF_A_TENANT
        names.answers.set()
        await webhooks.check(quick, tenant="alpha")

    assert {type(error) for error in given_up} == {UnavailableError}
    assert raised.value.retryable


async def test_names_that_nobody_can_look_up_for_now_may_be_tried_again() -> None:
    def resolve(host: str, port: int) -> list[Address]:
        raise socket.gaierror(socket.EAI_AGAIN, "temporary failure in name resolution")

    with (
        HttpxWebhooks(resolve=resolve) as webhooks,
        pytest.raises(UnavailableError, match="try again"),
    ):
        await webhooks.check("https://hooks.test/", tenant="acme")


async def test_an_answer_that_does_not_come_is_given_up(site: Site) -> None:
    release = threading.Event()

    def hold(_: Exchange) -> None:
        release.wait(30)

    site.pages["/held"] = hold
    with (
        webhooks_of(site, HOST, deadline_s=0.3) as webhooks,
        pytest.raises(UnavailableError, match=r"within 0\.3 s"),
    ):
        await webhooks.send(site.url("/held"), tenant="acme", headers=HEADERS, body=b"{}")
    release.set()


async def test_a_long_answer_is_not_read_to_its_end(site: Site) -> None:
    site.pages["/long"] = lambda exchange: exchange.send(200, b"x" * 20_000_000)

    with webhooks_of(site, HOST) as webhooks:
        assert (
            await webhooks.send(site.url("/long"), tenant="acme", headers=HEADERS, body=b"{}")
            == 200
        )


async def test_a_server_that_is_down_is_unavailable() -> None:
    with HttpxWebhooks(["127.0.0.1"]) as webhooks, pytest.raises(UnavailableError):
        await webhooks.send("http://127.0.0.1:1/hook", tenant="acme", headers={}, body=b"")
