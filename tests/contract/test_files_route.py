"""Files for download, from a real server over a folder and over a real S3."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from adapters.obstore.blobs import ObstoreBlobs
from app.serving.files import download_route
from engine.blobs import BlobStore
from engine.signing import Grant, Signer
from tests.support.ministack import ENVIRON
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

SIGNER = Signer(b"k" * 32)
DATA = bytes(range(256)) * 10_000
SHOWN = "j-1-part-00000.csv"
NAME = "jobs/j-1/result/reduce-0.csv"


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "folder":
        store = ObstoreBlobs.local(tmp_path)
    else:
        endpoint = request.getfixturevalue("s3_endpoint")
        store = ObstoreBlobs.s3(f"s3://blobs/{uuid4().hex}", endpoint, environ=ENVIRON)
    store.put(NAME, DATA)
    return store


@pytest.fixture
async def client(blobs: BlobStore) -> AsyncIterator[httpx.AsyncClient]:
    application = Starlette(routes=[download_route(blobs, SIGNER)])
    config = uvicorn.Config(application, port=0, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await eventually_async(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.should_exit = True
    await serving


def address(name: str = NAME, *, method: str = "GET", expires_in_s: int = 60) -> str:
    grant = Grant(method, "local", name, int(time.time()) + expires_in_s, SHOWN)
    return f"/files/{SIGNER.sign(grant)}"


async def test_a_file_comes_whole_and_is_saved_not_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get(address())

    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="j-1-part-00000.csv"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"


async def test_the_head_tells_the_length(client: httpx.AsyncClient) -> None:
    answer = await client.head(address())

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(DATA))


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=2559990-", 2_559_990, None), ("bytes=-5", -5, None)],
)
async def test_a_download_can_be_taken_up_again(
    client: httpx.AsyncClient, blobs: BlobStore, wanted: str, start: int, end: int | None
) -> None:
    answer = await client.get(address(), headers={"Range": wanted})

    if blobs.local_path(NAME) is None:
        assert (answer.status_code, answer.content) == (200, DATA)
    else:
        assert (answer.status_code, answer.content) == (206, DATA[start:end])


async def test_every_bad_token_gets_the_same_answer(client: httpx.AsyncClient) -> None:
    bad = [
        *("/files/nonsense", f"{address()}A", f"/files/A{address()[7:]}"),
        *(address(expires_in_s=0), address(method="PUT"), address("none", expires_in_s=-1)),
    ]

    answers = [await client.get(path) for path in bad]

    assert {(answer.status_code, answer.text) for answer in answers} == {
        (403, "this address is not valid, or has expired\n")
    }


async def test_an_erased_file_is_gone(client: httpx.AsyncClient, blobs: BlobStore) -> None:
    blobs.delete([NAME])

    assert (await client.get(address())).status_code == 410
    assert (await client.head(address())).status_code == 410


async def test_nothing_can_be_sent_there(client: httpx.AsyncClient) -> None:
    assert (await client.put(address(), content=b"")).status_code == 405
