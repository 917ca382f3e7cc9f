from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from app.serving.assets import NOT_BUILT, Assets

pytestmark = pytest.mark.anyio

SCRIPT = b"console.log('hello');\n"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("the console")
    (folder / "graphiql.html").write_text("GraphiQL")
    (folder / "assets" / "main-1a2b.js").write_bytes(SCRIPT)
    (folder / "assets" / "main-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "assets" / "font-3c4d.ttf").write_bytes(b"font")
    (folder / "assets" / "notes.txt").write_text("not for the web")
    (tmp_path / "secret.js").write_text("secret")
    return folder


@pytest.fixture
async def client(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(Assets(built)) as client:
        yield client


def client_of(assets: Assets) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=assets.routes()))
    return httpx.AsyncClient(transport=transport, base_url="http://fanfold")


async def test_the_console_lets_nothing_of_another_host_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")

    assert answer.text == "the console"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_only_graphiql_may_have_inline_styles_and_nobody_inline_scripts(built: Path) -> None:
    page = Assets(built).graphiql

    assert page.body == b"GraphiQL"
    policy = page.headers["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in policy


def test_uploads_may_go_to_the_blob_store_from_the_console_alone(built: Path) -> None:
    assets = Assets(built, store="https://bucket.example")

    assert (
        "connect-src 'self' https://bucket.example;"
        in assets.console.headers["Content-Security-Policy"]
    )
    assert "bucket.example" not in assets.graphiql.headers["Content-Security-Policy"]


async def test_files_are_kept_by_browsers_for_ever(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/main-1a2b.js")

    assert answer.content == SCRIPT
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_files_are_sent_packed_to_those_who_take_that(client: httpx.AsyncClient) -> None:
    packed = await client.get("/assets/main-1a2b.js", headers={"Accept-Encoding": "br, gzip"})
    plain = await client.get("/assets/main-1a2b.js", headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.content == plain.content == SCRIPT
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "notes.txt",
        "main-1a2b.js.gz",
        "..%2Findex.html",
        "..%2F..%2Fsecret.js",
        "%2Fetc%2Fpasswd",
        "main-1a2b.js%00",
    ],
)
async def test_nothing_else_can_be_asked_for(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/assets/{name}")

    assert answer.status_code == 404


async def test_without_a_build_the_page_tells_how_to_make_one(tmp_path: Path) -> None:
    assets = Assets(tmp_path / "nowhere")

    async with client_of(assets) as client:
        answer = await client.get("/")

    assert answer.content == NOT_BUILT
    assert "make console" in answer.text
    assert assets.graphiql.body == NOT_BUILT
