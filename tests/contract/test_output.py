"""Results where callers want them: in folders, and in a real S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.obstore.blobs import ObstoreBlobs
from adapters.obstore.output import ObstoreOutput
from engine.errors import InputError, NotFoundError, OutputError, UnavailableError
from engine.job import TaskId, TaskState
from engine.jsonvalue import decode
from engine.listings import BatchRecord
from engine.output.destination import Destinations
from engine.output.folders import OutputFolders
from engine.output.write import write_rows
from engine.result import Cursor, Manifest, read_all, read_page
from engine.spec import DataFormat
from tests.support.listings import write_listings
from tests.support.ministack import ENVIRON

ROWS = [{"a": n, "b": "x" * 100} for n in range(1_000)]


@dataclass(frozen=True)
class Place:
    """A place for results.

    Attributes:
        uri: As a caller names it.
        contents: What lies there.
    """

    uri: str
    contents: ObstoreBlobs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(params=["folder", "s3"])
def destinations(request: pytest.FixtureRequest, root: Path) -> Destinations:
    if request.param == "folder":
        return Destinations({"file": OutputFolders([root])})
    endpoint = request.getfixturevalue("s3_endpoint")
    return Destinations({"s3": ObstoreOutput(endpoint=endpoint, environ=ENVIRON)})


@pytest.fixture
def place(request: pytest.FixtureRequest, destinations: Destinations, root: Path) -> Place:
    del destinations
    if request.node.callspec.params["destinations"] == "folder":
        return Place(str(root / "new" / "é b"), ObstoreBlobs.local(root / "new" / "é b"))
    url = f"s3://results/{uuid4().hex}/new"
    endpoint = request.getfixturevalue("s3_endpoint")
    return Place(f"{url}/", ObstoreBlobs.s3(url, endpoint, environ=ENVIRON))


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.local(tmp_path / "blobs")


def result(blobs: ObstoreBlobs, format: DataFormat, scratch: Path) -> Manifest:
    files = tuple(
        write_rows(rows, blobs=blobs, name=f"jobs/j-1/{n}", format=format, scratch=scratch)
        for n, rows in enumerate((ROWS, [], ROWS[:3]))
    )
    return Manifest(job="j-1", files=files, exact=True, facts={"run": 1}, format=format)


@pytest.mark.parametrize("format", [DataFormat.JSONL, DataFormat.CSV, DataFormat.PARQUET])
def test_a_result_lies_there_with_a_manifest_that_names_its_files(
    destinations: Destinations,
    place: Place,
    blobs: ObstoreBlobs,
    tmp_path: Path,
    format: DataFormat,
) -> None:
    manifest = result(blobs, format, tmp_path)

    destinations.deliver(place.uri, manifest, blobs)
    destinations.deliver(place.uri, manifest, blobs)

    delivered = Manifest.from_bytes(place.contents.read("j-1/manifest.json"))
    names = [f"part-{n:05}.{format.lower()}" for n in range(3)]
    assert [file.name for file in delivered.files] == names
    assert delivered.format is format
    assert sorted(place.contents.list("j-1")) == ["j-1/manifest.json", *(f"j-1/{n}" for n in names)]
    for name, file in zip(names, manifest.files, strict=True):
        assert place.contents.read(f"j-1/{name}") == blobs.read(file.name)
    assert list(read_all(blobs, manifest)) == ROWS + ROWS[:3]


def with_listings(manifest: Manifest, blobs: ObstoreBlobs, scratch: Path) -> Manifest:
    """Return a manifest of a job with a batch that succeeded and one that failed."""
    states = (TaskState.SUCCEEDED, TaskState.FAILED)
    listings = write_listings(
        [BatchRecord(TaskId(f"map-{n}"), state) for n, state in enumerate(states)],
        job="j-1",
        machine="p",
        blobs=blobs,
        name_of=lambda file: f"jobs/j-1/result/finish-0-a1.{file}",
        scratch=scratch,
    )
    return replace(manifest, listings=listings)


def test_listings_of_batches_lie_beside_the_result_and_are_found_by_bucket_and_key(
    destinations: Destinations, place: Place, blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    manifest = with_listings(result(blobs, DataFormat.JSONL, tmp_path), blobs, tmp_path)

    destinations.deliver(place.uri, manifest, blobs)

    delivered = Manifest.from_bytes(place.contents.read("j-1/manifest.json"))
    for listing, stored in zip(delivered.listings, manifest.listings, strict=True):
        assert place.contents.read(f"j-1/{listing.status}_0.json") == blobs.read(stored.name)
        whole = f"{delivered.bucket}/{listing.name}"
        assert whole == f"{place.uri.removeprefix('s3://').rstrip('/')}/j-1/{stored.file_name}"


def test_listings_of_an_earlier_attempt_go_when_a_later_one_has_written_its_own(
    destinations: Destinations, place: Place, blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    manifest = with_listings(result(blobs, DataFormat.JSONL, tmp_path), blobs, tmp_path)
    only_succeeded = replace(manifest, listings=manifest.listings[1:])

    destinations.deliver(place.uri, manifest, blobs)
    destinations.deliver(place.uri, only_succeeded, blobs, attempt=2)

    names = {name for name in place.contents.list("j-1") if "_0" in name}
    assert names == {"j-1/SUCCEEDED_0-a2.json"}


def test_a_failure_leaves_no_manifest(
    destinations: Destinations, place: Place, blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    manifest = result(blobs, DataFormat.JSONL, tmp_path)
    blobs.delete([manifest.files[-1].name])

    with pytest.raises(NotFoundError):
        destinations.deliver(place.uri, manifest, blobs)

    assert "j-1/manifest.json" not in set(place.contents.list("j-1"))


def other_result(blobs: ObstoreBlobs, scratch: Path) -> Manifest:
    """Return a result of the same job with other rows, and one file fewer."""
    files = tuple(
        write_rows(
            [{"other": n}],
            blobs=blobs,
            name=f"jobs/j-1/other-{n}",
            format=DataFormat.JSONL,
            scratch=scratch,
        )
        for n in range(2)
    )
    return Manifest(job="j-1", files=files, exact=True, facts={}, format=DataFormat.JSONL)


def assert_whole(place: Place, wanted: Manifest, blobs: ObstoreBlobs) -> None:
    """Check that *wanted* lies there, and nothing else."""
    delivered = Manifest.from_bytes(place.contents.read("j-1/manifest.json"))
    assert [file.sha256 for file in delivered.files] == [file.sha256 for file in wanted.files]
    for copy, file in zip(delivered.files, wanted.files, strict=True):
        assert place.contents.read(f"j-1/{copy.name}") == blobs.read(file.name)
    names = {f"j-1/{file.name}" for file in delivered.files}
    assert set(place.contents.list("j-1")) == {"j-1/manifest.json", *names}


def test_a_later_attempt_takes_the_place_of_an_earlier_one(
    destinations: Destinations, place: Place, blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    first, second = result(blobs, DataFormat.JSONL, tmp_path), other_result(blobs, tmp_path)
    destinations.deliver(place.uri, first, blobs, attempt=1)

    destinations.deliver(place.uri, second, blobs, attempt=2)

    assert_whole(place, second, blobs)
    destinations.deliver(place.uri, first, blobs, attempt=10)
    assert_whole(place, first, blobs)


def test_an_attempt_that_is_late_changes_nothing_and_leaves_nothing(
    destinations: Destinations, place: Place, blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    first, second = result(blobs, DataFormat.JSONL, tmp_path), other_result(blobs, tmp_path)
    destinations.deliver(place.uri, second, blobs, attempt=2)

    with pytest.raises(OutputError, match="a later attempt"):
        destinations.deliver(place.uri, first, blobs, attempt=1)

    assert_whole(place, second, blobs)


def test_an_attempt_that_fails_leaves_an_earlier_result_whole(
    destinations: Destinations, place: Place, blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    first, second = other_result(blobs, tmp_path), result(blobs, DataFormat.JSONL, tmp_path)
    destinations.deliver(place.uri, first, blobs, attempt=1)
    blobs.delete([second.files[-1].name])

    with pytest.raises(NotFoundError):
        destinations.deliver(place.uri, second, blobs, attempt=2)

    delivered = Manifest.from_bytes(place.contents.read("j-1/manifest.json"))
    assert delivered.files[0].sha256 == first.files[0].sha256
    assert place.contents.read(f"j-1/{delivered.files[0].name}") == blobs.read(first.files[0].name)


@pytest.mark.parametrize("format", [DataFormat.JSONL, DataFormat.CSV, DataFormat.PARQUET])
def test_pages_are_read_from_s3(s3_endpoint: str, tmp_path: Path, format: DataFormat) -> None:
    blobs = ObstoreBlobs.s3(f"s3://blobs/{uuid4().hex}", s3_endpoint, environ=ENVIRON)
    manifest = result(blobs, format, tmp_path)

    first = read_page(blobs, manifest, first=999)
    then = read_page(blobs, manifest, first=3, after=Cursor.parse(str(first.rows[-1][0])))

    assert [decode(row) for _, row in first.rows] == ROWS[:999]
    assert [decode(row) for _, row in then.rows] == [ROWS[999], *ROWS[:2]]


@pytest.mark.parametrize(
    "uri",
    [
        *("gs://bucket/a", "https://host/a", "file://a", "/", "/etc", "../a", "a/../b", "a\0b"),
        *("s3://", "s3://bucket", "a\nb", "link", "link/below", "file", "file/below"),
    ],
)
def test_a_place_that_may_not_be_written_to_is_refused_at_once(root: Path, uri: str) -> None:
    (root / "link").symlink_to(root)
    (root / "file").write_text("")
    destinations = Destinations({"file": OutputFolders([root])})

    with pytest.raises(InputError) as caught:
        destinations.check(uri)

    assert caught.value.issues[0].path == ("input", "output", "uri")


@pytest.mark.parametrize("uri", ["s3://b", "s3://b!/a", "s3://bucket/a//b", "s3://bucket/../a"])
def test_what_is_no_bucket_with_a_prefix_is_refused(uri: str) -> None:
    with pytest.raises(InputError):
        Destinations({"s3": ObstoreOutput()}).check(uri)


def test_a_deployment_without_places_refuses_all() -> None:
    for uri in ("a", "/a", "s3://bucket/a"):
        with pytest.raises(InputError, match="not available"):
            Destinations({}).check(uri)


@pytest.mark.parametrize("uri", ["a", "./a/b/", "a//b"])
def test_places_below_a_root_are_accepted_however_they_are_written(root: Path, uri: str) -> None:
    destinations = Destinations({"file": OutputFolders([root])})

    for given in (uri, f"{root}/{uri}", f"file://{root}/{uri}", f"FILE://{root}/{uri}", str(root)):
        destinations.check(given)


def test_a_scheme_is_no_part_of_a_path_however_it_is_written(root: Path) -> None:
    OutputFolders([root]).write(f"FILE://{root}/a", "j-1/part", iter([b"data"]))

    assert (root / "a" / "j-1" / "part").read_bytes() == b"data"


def test_a_link_that_appears_after_the_check_is_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    folders = OutputFolders([root])
    folders.check("a")
    (root / "a").symlink_to(tmp_path / "outside")

    with pytest.raises(OutputError, match="link"):
        folders.write("a", "j-1/part", iter([b"data"]))

    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize("length", [10, 30_000_000])
def test_a_file_that_breaks_off_is_not_there(root: Path, s3_endpoint: str, length: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * length
        raise UnavailableError("gone")

    bucket = f"s3://results/{uuid4().hex}"
    contents = ObstoreBlobs.s3(bucket, s3_endpoint, environ=ENVIRON)
    s3 = ObstoreOutput(endpoint=s3_endpoint, environ=ENVIRON)
    for output, uri in ((OutputFolders([root]), "a"), (s3, bucket)):
        with pytest.raises(UnavailableError):
            output.write(uri, "part", chunks())

    assert os.listdir(root / "a") == []
    assert list(contents.list("")) == []


def test_a_bucket_that_does_not_exist_is_told(s3_endpoint: str) -> None:
    output = ObstoreOutput(endpoint=s3_endpoint, environ=ENVIRON)

    with pytest.raises((OutputError, UnavailableError), match="s3://nowhere/a"):
        output.write("s3://nowhere/a/", "part", iter([b"data"]))
