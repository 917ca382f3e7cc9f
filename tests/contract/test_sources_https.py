"""Sources on web servers: a real server with TLS, whose loopback address is let through."""

from __future__ import annotations

import io
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from adapters.https.sources import HttpsSources, Limits
from engine.errors import SourceChangedError, SourceError, UnavailableError
from engine.source.addresses import Address
from tests.support.web_server import CONTENT, HOST, Exchange, Page, Site, web_server

LOOPBACK = ip_address("127.0.0.1")
QUICK = Limits(give_up_s=0.3)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with web_server(tmp_path) as running:
        running.pages["/a.csv"] = lambda exchange: exchange.send_ranges(CONTENT, ETag='"1"')
        yield running


def sources_of(
    site: Site, *hosts: str, limits: Limits = QUICK, addresses: dict[str, str] | None = None
) -> HttpsSources:
    """Return sources that let loopback addresses through; *addresses* are of other names."""

    def resolve(host: str, port: int) -> list[Address]:
        known = {HOST: "127.0.0.1", "other.test": "127.0.0.1"} | (addresses or {})
        if host not in known:
            raise OSError("no such name")
        return [ip_address(text) for text in known[host].split()]

    return HttpsSources(
        [f"{host}:{site.port}" for host in (HOST, *hosts)],
        limits=limits,
        tls=site.tls,
        resolve=resolve,
        may_connect=lambda address: address == LOOPBACK,
    )


@pytest.fixture
def https(site: Site) -> Iterator[HttpsSources]:
    sources = sources_of(site)
    yield sources
    sources.close()


# ------------------------------------------------------------------ what is found and read


def test_a_file_is_found_with_length_and_version(site: Site, https: HttpsSources) -> None:
    (found,) = https.list_files(site.url("/a.csv"))

    assert (found.path, found.size_bytes) == (site.url("/a.csv"), len(CONTENT))
    assert '"1"' in found.version
    assert site.requests == [f"{HOST}:{site.port} /a.csv bytes=0-0"]


def test_a_file_can_be_read_anywhere(site: Site, https: HttpsSources) -> None:
    with https.open_file(site.url("/a.csv")) as stream:
        stream.seek(-3, io.SEEK_END)
        assert stream.read() == CONTENT[-3:]
        stream.seek(0)
        assert stream.read() == CONTENT


def test_an_empty_file_is_one(site: Site, https: HttpsSources) -> None:
    site.pages["/empty"] = lambda exchange: exchange.send_ranges(b"")

    assert https.stat_file(site.url("/empty")).size_bytes == 0
    with https.open_file(site.url("/empty")) as stream:
        assert stream.read() == b""


def without_length(exchange: Exchange) -> None:
    exchange.send_response(200)
    exchange.end_headers()
    exchange.wfile.write(CONTENT)


@pytest.mark.parametrize("page", [lambda exchange: exchange.send(200, CONTENT), without_length])
def test_a_server_without_ranges_is_read_as_a_whole(
    site: Site, https: HttpsSources, page: Page
) -> None:
    site.pages["/whole"] = page

    (found,) = https.list_files(site.url("/whole"))

    assert found.size_bytes == len(CONTENT)
    with https.open_file(found.path, version=found.version) as stream:
        stream.seek(-3, io.SEEK_END)
        assert stream.read() == CONTENT[-3:]


def test_a_query_is_sent_and_never_shown(site: Site, https: HttpsSources) -> None:
    url = site.url("/a.csv?signature=secret")

    assert https.stat_file(url).path == url
    assert "signature=secret" in site.requests[0]
    assert https.name_of(url) == site.url("/a.csv")
    with pytest.raises(SourceError) as caught:
        https.stat_file(site.url("/missing?signature=secret"))
    assert "secret" not in f"{caught.value.message} {caught.value.location}"


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_file_that_changed_is_not_read(site: Site, https: HttpsSources, has_ranges: bool) -> None:
    def page(etag: str) -> Page:
        if has_ranges:
            return lambda exchange: exchange.send_ranges(CONTENT, ETag=etag)
        return lambda exchange: exchange.send(200, CONTENT, ETag=etag)

    site.pages["/changing"] = page('"1"')
    found = https.stat_file(site.url("/changing"))
    site.pages["/changing"] = page('"2"')

    with pytest.raises(SourceChangedError, match="was changed after the job was planned"):
        https.open_file(found.path, version=found.version)


def test_a_file_that_changes_or_goes_while_it_is_read_is_told(
    site: Site, https: HttpsSources
) -> None:
    with https.open_file(site.url("/a.csv")) as stream:
        stream.read(1)
        stream.seek(-1, io.SEEK_END)
        site.pages["/a.csv"] = lambda exchange: exchange.send_ranges(CONTENT, ETag='"2"')
        with pytest.raises(SourceChangedError, match="was changed"):
            stream.read()
        del site.pages["/a.csv"]
        with pytest.raises(SourceChangedError, match="was deleted"):
            stream.read()


# ------------------------------------------------------------------ who is asked


def test_redirects_are_followed_to_allowed_hosts(site: Site) -> None:
    site.pages["/1"] = lambda exchange: exchange.send(302, Location="/2")
    site.pages["/2"] = lambda exchange: exchange.send(307, Location=site.url("/a.csv"))

    assert sources_of(site).stat_file(site.url("/1")).size_bytes == len(CONTENT)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://files.test/a.csv", "redirects to a URL that is not https://"),
        ("https://elsewhere.test/a.csv", "on a host that this deployment does not read from"),
        ("https://files.test/a.csv", "on a host that this deployment does not read from"),
        ("https://127.0.0.1/latest", "on a host that this deployment does not read from"),
        ("https://169.254.169.254/latest", "on a host that this deployment does not read from"),
        ("file:///etc/passwd", "is not https://"),
        ("https://user@files.test/", "has a user in it"),
        ("/loop", "redirects more than 5 times"),
    ],
)
def test_redirects_to_elsewhere_are_refused(
    site: Site, https: HttpsSources, target: str, reason: str
) -> None:
    site.pages["/loop"] = lambda exchange: exchange.send(301, Location=target)

    with pytest.raises(SourceError, match=reason):
        https.stat_file(site.url("/loop"))


def test_a_redirect_to_a_name_with_a_private_address_is_refused(site: Site) -> None:
    sources = sources_of(site, "inside.test", addresses={"inside.test": "10.0.0.1"})
    target = site.url("/a.csv", host="inside.test")
    site.pages["/1"] = lambda exchange: exchange.send(302, Location=target)

    with pytest.raises(SourceError, match="has an address that is not public"):
        sources.stat_file(site.url("/1"))


def test_one_private_address_among_others_is_enough_to_refuse(site: Site) -> None:
    sources = sources_of(site, "mixed.test", addresses={"mixed.test": "127.0.0.1 10.0.0.1"})

    with pytest.raises(SourceError, match="has an address that is not public"):
        sources.stat_file(site.url("/a.csv", host="mixed.test"))
    assert site.requests == []


def test_by_default_loopback_is_not_public(site: Site) -> None:
    sources = HttpsSources([f"localhost:{site.port}"], tls=site.tls, limits=QUICK)

    with pytest.raises(SourceError, match="has an address that is not public"):
        sources.stat_file(site.url("/a.csv", host="localhost"))
    assert site.requests == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0"])
def test_other_spellings_of_loopback_are_not_public(site: Site, host: str) -> None:
    sources = HttpsSources([f"{host}:{site.port}"], tls=site.tls, limits=QUICK)

    with pytest.raises((SourceError, UnavailableError)):
        sources.stat_file(site.url("/a.csv", host=host))
    assert site.requests == []


def test_the_certificate_must_be_for_the_name(site: Site) -> None:
    with pytest.raises(SourceError, match="certificate is not valid"):
        sources_of(site, "other.test").stat_file(site.url("/a.csv", host="other.test"))
    assert site.requests == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://files.test/a.csv", "is not https://"),
        ("https://elsewhere.test/a.csv", "does not read from"),
        ("https://files.test:444/a.csv", "does not read from"),
        ("https://files.test.evil/a.csv", "does not read from"),
        ("https://files.test@evil.test/a.csv", "has a user in it"),
        ("https://files.test/*.csv", "knows no wildcards"),
        ("https://", "does not read from"),
    ],
)
def test_what_may_not_be_asked_is_refused(https: HttpsSources, url: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        next(https.list_files(url))


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "there is no such file"), (410, "no such file"), (403, "access denied"), (400, "400")],
)
def test_a_refusal_of_the_server_is_told(
    site: Site, https: HttpsSources, status: int, reason: str
) -> None:
    site.pages["/no"] = lambda exchange: exchange.send(status)

    with pytest.raises(SourceError, match=reason) as caught:
        https.stat_file(site.url("/no"))
    assert caught.value.location == site.url("/no")


def test_an_answer_that_may_pass_is_asked_for_again(site: Site) -> None:
    answers = [503, 429, 500]

    def page(exchange: Exchange) -> None:
        if answers:
            exchange.send(answers.pop())
        else:
            exchange.send_ranges(CONTENT)

    site.pages["/busy"] = page

    found = sources_of(site, limits=Limits(give_up_s=10)).stat_file(site.url("/busy"))

    assert found.size_bytes == len(CONTENT)


def test_a_server_that_keeps_failing_is_unavailable(site: Site, https: HttpsSources) -> None:
    site.pages["/down"] = lambda exchange: exchange.send(503)

    with pytest.raises(UnavailableError, match="status 503"):
        https.stat_file(site.url("/down"))
    with pytest.raises(UnavailableError, match="name is not known"):
        sources_of(site, "gone.test").stat_file(site.url("/a", host="gone.test"))


def test_a_body_that_breaks_off_is_never_taken_for_the_file(
    site: Site, https: HttpsSources
) -> None:
    def half(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", str(len(CONTENT)))
        exchange.end_headers()
        exchange.wfile.write(CONTENT[: len(CONTENT) // 2])
        exchange.close_connection = True

    site.pages["/half"] = half

    with pytest.raises(UnavailableError):
        https.open_file(site.url("/half"))


def test_a_body_that_drips_is_given_up(site: Site) -> None:
    def drip(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.end_headers()
        for _ in range(100):
            exchange.wfile.write(b"x" * 1000)
            if site.requests.count("stop"):
                break

    site.pages["/drip"] = drip
    limits = Limits(min_bytes_per_s=10**9, grace_s=0, give_up_s=0)

    with pytest.raises(UnavailableError, match=r"only \d+ bytes came"):
        sources_of(site, limits=limits).stat_file(site.url("/drip"))


def test_a_file_that_is_too_long_is_refused(site: Site) -> None:
    site.pages["/whole"] = without_length
    sources = sources_of(site, limits=Limits(max_bytes=1000, give_up_s=0))

    for path in ("/a.csv", "/whole"):
        with pytest.raises(SourceError, match="is longer than 1000 bytes"):
            sources.stat_file(site.url(path))
