"""Uploads: where callers may send a file, a real server that takes it, and who may read it."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from adapters.obstore.blobs import ObstoreBlobs
from app.serving.uploads import Limits as UploadLimits
from app.serving.uploads import has_room, upload_route
from engine.catalog import load_catalog
from engine.errors import InputError, NotFoundError
from engine.output.destination import Destinations
from engine.signing import Grant, Signer
from engine.source.blob_files import BlobFiles
from engine.source.sources import Sources
from resolvers.access.caller import Caller
from resolvers.access.quotas import Connections
from resolvers.services import Limits, Services
from resolvers.uploads import create_upload, resolve_upload
from tests.support.ministack import ENVIRON
from tests.support.running import free_port
from tests.support.waiting import eventually

ADA, EVE = Caller(subject="ada", tenant="acme"), Caller(subject="eve", tenant="other")
NAME = "uploads/acme/u-1/a.csv"
MAX_BYTES = 3 * 1024 * 1024


@dataclass
class Place:
    """A running service that takes files."""

    url: str
    port: int
    blobs: ObstoreBlobs
    signer: Signer
    scratch: Path
    connections: Connections
    free_bytes: list[int]

    def token(self, *, method: str = "PUT", name: str = NAME, expires_in_s: int = 60) -> str:
        return self.signer.sign(Grant(method, "acme", name, int(time.time()) + expires_in_s))

    def address(self, token: str) -> str:
        return f"{self.url}/uploads/{token}"

    def is_there(self, name: str = NAME) -> bool:
        try:
            self.blobs.size(name)
        except NotFoundError:
            return False
        return True


def services_of(blobs: ObstoreBlobs, signer: Signer) -> Services:
    """Return services that have what uploads need and nothing else."""
    nothing = cast("Any", None)
    return Services(
        catalog=load_catalog(()),
        jobs=nothing,
        control=nothing,
        blobs=blobs,
        sources=Sources({"blob": BlobFiles(blobs)}),
        destinations=Destinations({}),
        signer=signer,
        sql=nothing,
        limits=Limits(inline_result_bytes=0, max_wait_ms=0, version="0"),
    )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with running_place(tmp_path) as running:
        yield running


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Place]:
    """A place that wants 1,000 bytes in each second."""
    with running_place(tmp_path, min_bytes_per_s=1_000, step_s=1) as running:
        yield running


@contextmanager
def running_place(tmp_path: Path, **limits: Any) -> Iterator[Place]:
    blobs, signer = ObstoreBlobs.local(tmp_path / "blobs"), Signer(b"k" * 32)
    scratch, connections, free_bytes = tmp_path / "scratch", Connections(2), [10**9]

    def has_room(folder: Path, wanted_bytes: int) -> bool:
        return folder == scratch and wanted_bytes <= free_bytes[0]

    route = upload_route(
        blobs,
        signer,
        scratch,
        connections=connections,
        limits=UploadLimits(max_bytes=MAX_BYTES, **limits),
        has_room=has_room,
    )
    port = free_port()
    config = uvicorn.Config(Starlette(routes=[route]), port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield Place(
            f"http://127.0.0.1:{port}", port, blobs, signer, scratch, connections, free_bytes
        )
    finally:
        server.should_exit = True
        thread.join()


def test_a_file_that_was_sent_is_a_blob(place: Place) -> None:
    data = bytes(range(256)) * 8000

    answer = httpx.put(place.address(place.token()), content=data)

    assert answer.status_code == 201
    assert place.blobs.read(NAME) == data
    assert list(place.scratch.iterdir()) == []


def test_a_file_of_unknown_length_can_be_sent(place: Place) -> None:
    answer = httpx.put(place.address(place.token()), content=iter([b"a,b\n", b"", b"1,2\n"]))

    assert answer.status_code == 201
    assert place.blobs.read(NAME) == b"a,b\n1,2\n"


def test_an_empty_file_can_be_sent(place: Place) -> None:
    assert httpx.put(place.address(place.token())).status_code == 201
    assert place.blobs.read(NAME) == b""


def test_a_file_is_never_replaced(place: Place) -> None:
    httpx.put(place.address(place.token()), content=b"first")

    answer = httpx.put(place.address(place.token()), content=b"second")

    assert answer.status_code == 409
    assert place.blobs.read(NAME) == b"first"


def test_an_address_that_is_not_valid_takes_nothing(place: Place) -> None:
    token = place.token()
    stranger = Signer(b"x" * 32).sign(Grant("PUT", "acme", NAME, int(time.time()) + 60))
    for bad in (
        "x",
        token[:-2],
        stranger,
        place.token(method="GET"),
        place.token(expires_in_s=-1),
    ):
        assert httpx.put(place.address(bad), content=b"a").status_code == 403
    assert httpx.get(place.address(token)).status_code == 405
    assert not place.is_there()


@pytest.mark.parametrize("is_told", [True, False])
def test_a_file_that_is_too_long_is_refused(place: Place, is_told: bool) -> None:
    data = b"x" * (MAX_BYTES + 1)
    content = data if is_told else iter([data])

    # The server may close before all of it was sent.
    with suppress(httpx.WriteError):
        assert httpx.put(place.address(place.token()), content=content).status_code == 413

    assert not place.is_there()
    eventually(lambda: not place.scratch.exists() or not list(place.scratch.iterdir()))


def test_a_file_that_does_not_come_whole_leaves_nothing(place: Place) -> None:
    half_sent = http.client.HTTPConnection("127.0.0.1", place.port)
    half_sent.putrequest("PUT", f"/uploads/{place.token()}")
    half_sent.putheader("Content-Length", "1000")
    half_sent.endheaders(b"half")
    eventually(lambda: place.scratch.exists() and list(place.scratch.iterdir()))
    assert httpx.put(place.address(place.token()), content=b"other").status_code == 409

    half_sent.close()

    eventually(lambda: not list(place.scratch.iterdir()))
    assert not place.is_there()
    assert httpx.put(place.address(place.token()), content=b"whole").status_code == 201


def sending(place: Place, *, name: str = NAME, told_bytes: int = 100_000) -> Any:
    """Begin to send a file."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)
    connection.putrequest("PUT", f"/uploads/{place.token(name=name)}")
    connection.putheader("Content-Length", str(told_bytes))
    connection.endheaders(b"begun")
    return closing(connection)


def test_a_file_that_comes_is_one_of_its_tenants_connections(place: Place) -> None:
    other = f"{NAME}.other"
    with sending(place), sending(place, name=f"{NAME}.second"):
        eventually(lambda: place.connections.open_of("acme") == 2)

        refused = httpx.put(place.address(place.token(name=other)), content=b"a")

        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    eventually(lambda: place.connections.open_of("acme") == 0)
    assert httpx.put(place.address(place.token(name=other)), content=b"a").status_code == 201


def test_a_file_that_stops_is_given_up_however_fast_it_began(hasty: Place) -> None:
    with sending(hasty) as connection:
        connection.send(b"x" * 90_000)

        answer = connection.getresponse()

        assert answer.status == 408
        assert b"every 1 s must bring 1000 bytes" in answer.read()
    eventually(lambda: not list(hasty.scratch.iterdir()))
    eventually(lambda: hasty.connections.open_of("acme") == 0)
    assert not hasty.is_there()
    assert httpx.put(hasty.address(hasty.token()), content=b"again").status_code == 201


def test_bytes_now_and_then_buy_no_time(hasty: Place) -> None:
    began, pause = time.monotonic(), threading.Event()
    with sending(hasty) as connection, suppress(OSError):
        while time.monotonic() < began + 20 and hasty.connections.open_of("acme") < 1:
            pause.wait(0.01)
        while time.monotonic() < began + 20 and hasty.connections.open_of("acme"):
            connection.send(b"x")
            pause.wait(0.05)

    assert time.monotonic() < began + 15
    eventually(lambda: not list(hasty.scratch.iterdir()))


def test_a_slow_file_that_brings_its_share_comes_whole(hasty: Place) -> None:
    pause = threading.Event()

    def pieces() -> Iterator[bytes]:
        for _ in range(12):
            yield b"x" * 1_000
            pause.wait(0.1)

    assert httpx.put(hasty.address(hasty.token()), content=pieces()).status_code == 201
    assert hasty.blobs.read(NAME) == b"x" * 12_000


@pytest.mark.parametrize("is_told", [True, False])
def test_a_file_that_the_disk_has_no_room_for_is_refused(place: Place, is_told: bool) -> None:
    place.free_bytes[0] = 2_000
    data = b"x" * 2_001

    answer = httpx.put(
        place.address(place.token()), content=data if is_told else iter([data[:1], data[1:]])
    )

    assert answer.status_code == 507
    assert list(place.scratch.iterdir()) == []
    place.free_bytes[0] = 3_000
    assert httpx.put(place.address(place.token()), content=data).status_code == 201


def test_the_last_of_a_disk_is_not_for_files(tmp_path: Path) -> None:
    disk = shutil.disk_usage(tmp_path)

    assert has_room(tmp_path, disk.free - 2 * 1024**3)
    assert not has_room(tmp_path, disk.free)


# ------------------------------------------------------------------ createUpload


def test_a_created_upload_can_be_sent_and_read_by_its_tenant(place: Place) -> None:
    services = services_of(place.blobs, place.signer)
    upload = create_upload(
        services, caller=ADA, file_name="my data.csv", content_type="text/csv", base_url=place.url
    )
    with pytest.raises(InputError, match="or no file was sent to it"):
        resolve_upload(services, ADA, upload.id)

    assert httpx.put(upload.url, content=b"a,b\n").status_code == 201

    found = resolve_upload(services, ADA, upload.id)
    assert found.size_bytes == 4
    assert services.sources.name_of(found.path) == f"upload {upload.id} (my_data.csv)"
    assert timedelta(minutes=59) < upload.expires_at - datetime.now(UTC) <= timedelta(hours=1)


def test_another_tenants_upload_looks_like_one_that_does_not_exist(place: Place) -> None:
    services = services_of(place.blobs, place.signer)
    upload = create_upload(
        services, caller=ADA, file_name="a.csv", content_type=None, base_url=place.url
    )
    httpx.put(upload.url, content=b"secret")

    for other in (upload.id, "u-" + "0" * 43, "../acme", ""):
        with pytest.raises(InputError) as caught:
            resolve_upload(services, EVE, other)
        (issue,) = caught.value.issues
        assert issue.path == ("input", "source", "upload", "id")
        assert issue.message == f"no upload {other!r}, or no file was sent to it"


@pytest.mark.parametrize("text", ["", "a\n.csv", "x" * 201])
def test_every_field_that_is_none_is_named(place: Place, text: str) -> None:
    services = services_of(place.blobs, place.signer)

    with pytest.raises(InputError) as caught:
        create_upload(services, caller=ADA, file_name=text, content_type=text, base_url=place.url)

    paths = [issue.path for issue in caught.value.issues]
    assert paths == [("input", "fileName"), ("input", "contentType")]


def test_a_store_that_takes_files_itself_is_sent_them(s3_endpoint: str) -> None:
    blobs = ObstoreBlobs.s3("s3://blobs/created", s3_endpoint, environ=ENVIRON)
    services = services_of(blobs, Signer(b"k" * 32))

    upload = create_upload(
        services, caller=ADA, file_name="a.csv", content_type=None, base_url="http://unused"
    )

    assert upload.url.startswith(s3_endpoint)
    assert httpx.put(upload.url, content=b"a,b\n").status_code == 200
    found = resolve_upload(services, ADA, upload.id)
    assert found.size_bytes == 4
    assert services.sources.local_path(found.path) is None
    with services.sources.open_file(found.path) as stream:
        assert stream.read() == b"a,b\n"
