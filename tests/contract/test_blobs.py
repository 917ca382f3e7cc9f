"""What every blob store promises: obstore over a folder, and over a real S3."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.obstore.blobs import ObstoreBlobs
from engine.blobs import BlobStore
from engine.errors import ConfigError, NotFoundError, UnavailableError
from tests.support.ministack import ENVIRON
from tests.support.nobody import as_nobody

DATA = bytes(range(256)) * 10


Open = Callable[[], ObstoreBlobs]


@pytest.fixture(params=["folder", "s3"])
def open_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one and the same store, empty at first."""
    if request.param == "folder":
        return lambda: ObstoreBlobs.local(tmp_path / "blobs")
    endpoint = request.getfixturevalue("s3_endpoint")
    url = f"s3://blobs/{uuid4().hex}/deep"
    return lambda: ObstoreBlobs.s3(url, endpoint, environ=ENVIRON)


@pytest.fixture
def blobs(open_blobs: Open) -> ObstoreBlobs:
    return open_blobs()


@pytest.mark.parametrize("name", ["a", "a/b", "jobs/j-1/shuffle/map-0-a1.arrows", "a/" * 50 + "z"])
@pytest.mark.parametrize("data", [b"", b"\x00", DATA], ids=["empty", "zero", "bytes"])
def test_what_was_put_can_be_read(blobs: BlobStore, name: str, data: bytes) -> None:
    blobs.put(name, data)

    assert blobs.read(name) == data


def test_large_blobs_are_kept_whole(blobs: BlobStore) -> None:
    data = os.urandom(1024) * 20_000

    blobs.put("large", data)

    assert blobs.read("large") == data
    assert blobs.read("large", start=len(data) - 5) == data[-5:]


def test_any_range_is_that_of_a_slice(open_blobs: Open) -> None:
    blobs = open_blobs()
    blobs.put("a", DATA)
    blobs.put("empty", b"")
    place = st.integers(0, len(DATA) + 10)

    @settings(max_examples=50)
    @given(start=place, end=st.none() | place)
    def check(start: int, end: int | None) -> None:
        assert blobs.read("a", start=start, end=end) == DATA[start:end]
        assert blobs.read("empty", start=start, end=end) == b""

    check()


@pytest.mark.parametrize(("start", "end"), [(0, None), (1, None), (0, 10), (3, 5)])
def test_a_blob_that_is_missing_cannot_be_found(
    blobs: BlobStore, start: int, end: int | None
) -> None:
    blobs.put("folder/a", b"a")

    for name in ("b", "folder/b", "folder"):
        with pytest.raises(NotFoundError, match=name):
            blobs.read(name, start=start, end=end)


def test_a_blob_is_replaced_by_one_of_the_same_name(blobs: BlobStore) -> None:
    blobs.put("a", b"long ago")
    blobs.put("a", b"now")

    assert blobs.read("a") == b"now"


def test_a_reader_sees_the_old_blob_or_the_new_one_and_nothing_between(blobs: BlobStore) -> None:
    versions = [bytes([number]) * 200_000 for number in range(4)]
    blobs.put("a", versions[0])
    has_ended = threading.Event()

    def replace() -> None:
        for _ in range(20):
            for version in versions:
                blobs.put("a", version)
        has_ended.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not has_ended.is_set():
        assert blobs.read("a") in versions
    writer.join()


def test_a_folder_is_listed_with_all_below_it(blobs: BlobStore) -> None:
    names = {"jobs/j-1/shuffle/map-0", "jobs/j-1/shuffle/deep/down/map-1", "jobs/j-1/result/r"}
    for name in (*names, "jobs/j-12/shuffle/map-0", "other"):
        blobs.put(name, b"")

    assert set(blobs.list("jobs/j-1")) == names
    assert set(blobs.list("jobs/j-1/shuffle")) == {name for name in names if "shuffle" in name}


def test_a_folder_that_does_not_exist_is_empty(blobs: BlobStore) -> None:
    assert list(blobs.list("jobs/none")) == []


def test_many_blobs_are_all_listed(blobs: BlobStore) -> None:
    names = {f"jobs/j-1/{number}" for number in range(1_500)}
    for name in names:
        blobs.put(name, b"")

    assert set(blobs.list("jobs/j-1")) == names


def test_deleted_blobs_are_gone_and_missing_ones_passed_over(blobs: BlobStore) -> None:
    blobs.put("a/1", b"")
    blobs.put("a/2", b"")

    blobs.delete(["a/none", "a/1", "none/at/all", "a/1"])

    assert list(blobs.list("a")) == ["a/2"]
    with pytest.raises(NotFoundError):
        blobs.read("a/1")


def test_a_folder_can_be_deleted_and_written_to_again(blobs: BlobStore) -> None:
    blobs.put("a/b/1", b"")
    blobs.delete(list(blobs.list("a")))

    blobs.put("a/b/1", b"again")

    assert blobs.read("a/b/1") == b"again"


def test_blobs_outlive_their_store(open_blobs: Open) -> None:
    open_blobs().put("a/b", b"kept")

    assert open_blobs().read("a/b") == b"kept"


@pytest.mark.parametrize("length", [0, 10, 40_000_000], ids=["empty", "small", "large"])
def test_a_file_that_was_put_is_a_blob_and_no_longer_a_file(
    blobs: BlobStore, tmp_path: Path, length: int
) -> None:
    data = os.urandom(1_000) * (length // 1_000) or b"x" * length
    (tmp_path / "file").write_bytes(data)
    blobs.put("a/b/c", b"before")

    blobs.put_file("a/b/c", tmp_path / "file")

    assert blobs.read("a/b/c") == data
    assert not (tmp_path / "file").exists()
    assert list(blobs.list("a")) == ["a/b/c"]


def test_a_file_of_another_file_system_is_copied(blobs: BlobStore) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm", delete=False) as file:
        file.write(DATA)

    blobs.put_file("a/b", Path(file.name))

    assert blobs.read("a/b") == DATA
    assert not Path(file.name).exists()


def test_what_is_left_of_a_copy_that_was_killed_can_be_removed(tmp_path: Path) -> None:
    dying = (
        "import os, pathlib, shutil, sys\n"
        "from adapters.obstore.blobs import ObstoreBlobs\n"
        "def copy(source, target):\n"
        "    pathlib.Path(target).write_bytes(b'half')\n"
        "    os._exit(9)\n"
        "shutil.copyfile = copy\n"
        "ObstoreBlobs.local(pathlib.Path(sys.argv[1])).put_file('a/b', pathlib.Path(sys.argv[2]))\n"
    )
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        words = [sys.executable, "-c", dying, str(tmp_path), file.name]
        assert subprocess.run(words, check=False, timeout=30).returncode == 9
    blobs = ObstoreBlobs.local(tmp_path)

    with pytest.raises(NotFoundError):
        blobs.read("a/b")
    blobs.delete(list(blobs.list("a")))

    assert list(tmp_path.rglob("*")) == []


def test_the_size_of_a_blob_is_told(blobs: BlobStore) -> None:
    blobs.put("a/b", DATA)
    blobs.put("empty", b"")

    assert (blobs.size("a/b"), blobs.size("empty")) == (len(DATA), 0)
    with pytest.raises(NotFoundError, match="none"):
        blobs.size("a/none")


def test_many_blobs_are_deleted_at_once(blobs: BlobStore) -> None:
    names = [f"jobs/j-1/{number}" for number in range(1_200)]
    for name in names[:20]:
        blobs.put(name, b"")

    blobs.delete(iter(names))

    assert list(blobs.list("jobs")) == []


@pytest.mark.parametrize("name", ["a/é b", "a/50%", "a/%20+b", "a/day=1&c;d"])
def test_a_blob_can_be_had_by_its_path_or_by_a_url(blobs: BlobStore, name: str) -> None:
    blobs.put(name, DATA)
    path = blobs.local_path(name)
    url = blobs.presigned_url(name, method="GET", expires_s=60)

    if path is not None:
        assert url is None
        assert path.read_bytes() == DATA
        return
    assert url is not None
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        assert answer.read() == DATA


def test_a_blob_can_be_sent_to_a_presigned_url(s3_endpoint: str) -> None:
    blobs = ObstoreBlobs.s3("s3://blobs/uploads", s3_endpoint, environ=ENVIRON)
    url = blobs.presigned_url("sent", method="PUT", expires_s=60)
    assert url is not None

    request = urllib.request.Request(url, data=DATA, method="PUT")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass

    assert blobs.read("sent") == DATA


def test_a_bucket_that_does_not_exist_has_no_blobs(s3_endpoint: str) -> None:
    blobs = ObstoreBlobs.s3("s3://nowhere", s3_endpoint, environ=ENVIRON)

    with pytest.raises(NotFoundError):
        blobs.read("a")
    with pytest.raises((NotFoundError, UnavailableError)):
        blobs.put("a", b"")


@pytest.mark.parametrize("url", ["", "s3://", "gs://bucket", "bucket/prefix"])
def test_what_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="s3://bucket"):
        ObstoreBlobs.s3(url)


def test_names_cannot_lead_out_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    blobs = ObstoreBlobs.local(tmp_path / "blobs")

    with pytest.raises(ValueError, match="illegal"):
        blobs.read("../secret")
    with pytest.raises(ValueError, match="illegal"):
        blobs.put("../new", b"")
    with pytest.raises(ValueError, match="illegal"):
        blobs.local_path("../secret")
    with pytest.raises(ValueError, match="illegal"):
        blobs.put_file("../new", tmp_path / "secret")

    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_entered_makes_the_store_unavailable() -> None:
    with tempfile.TemporaryDirectory() as folder:
        blobs = ObstoreBlobs.local(Path(folder))
        blobs.put("a/b", b"")
        os.chmod(folder, 0)

        with as_nobody():
            with pytest.raises(UnavailableError, match="a/b"):
                blobs.read("a/b")
            with pytest.raises(UnavailableError, match="a/b"):
                blobs.read("a/b", start=1, end=2)
            with pytest.raises(UnavailableError, match="a/c"):
                blobs.put("a/c", b"")
            with pytest.raises(UnavailableError):
                blobs.delete(["a/b"])
            with pytest.raises(UnavailableError):
                list(blobs.list("a"))

        os.chmod(folder, 0o700)
