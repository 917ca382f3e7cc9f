"""Which files a job reads: those it names, an upload, the result of another job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.obstore.blobs import ObstoreBlobs
from engine.blobs import BlobStore
from engine.errors import SourceChangedError, SourceError
from engine.source.blob_files import BlobFiles
from engine.source.listing import list_sources
from engine.source.roots import SourceRoots
from engine.source.sources import Sources
from engine.spec import JobSpec, parse_spec


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return ObstoreBlobs.local(tmp_path / "blobs")


@pytest.fixture
def sources(tmp_path: Path, blobs: BlobStore) -> Sources:
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "in" / name).write_text("x\n")
    (tmp_path / "in" / "list.txt").write_text("b.csv\n")
    return Sources({"": SourceRoots((tmp_path / "in",)), "blob": BlobFiles(blobs)})


def spec(**source: Any) -> JobSpec:
    return parse_spec({"program": "wordcount", "source": source})


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"uris": ["*.csv"]}, ["a.csv", "b.csv"]),
        ({"uris": ["*.csv"], "mode": "OBJECTS"}, ["a.csv", "b.csv"]),
        ({"uris": ["list.txt"], "mode": "MANIFEST"}, ["b.csv"]),
    ],
)
def test_the_files_of_each_mode(sources: Sources, files: Any, expected: list[str]) -> None:
    found = list_sources(spec(files=files), sources)

    assert [sources.name_of(file.path) for file in found] == expected


@pytest.mark.parametrize("prefix", ["", "blob:"])
def test_an_upload_is_read_by_its_blob(sources: Sources, blobs: BlobStore, prefix: str) -> None:
    blobs.put("uploads/acme/u-1/a.csv", b"a,b\n")

    job = spec(upload={"id": "u-1"})
    (file,) = list_sources(job, sources, resolved=f"{prefix}uploads/acme/u-1/a.csv")

    assert file.size_bytes == 4
    assert sources.name_of(file.path) == "upload u-1 (a.csv)"
    with sources.open_file(file.path) as stream:
        assert stream.read() == b"a,b\n"
    local = sources.local_path(file.path)
    assert local is not None
    assert Path(local).read_bytes() == b"a,b\n"


def test_the_result_of_another_job_is_read_by_its_manifest(
    sources: Sources, blobs: BlobStore
) -> None:
    blobs.put("jobs/j-1/result/0.jsonl", b"{}\n")
    names = b'[{"name":"jobs/j-1/result/0.jsonl"}]'
    blobs.put("jobs/j-1/result/manifest.json", b'{"job":"j-1","files":%s}' % names)

    found = list_sources(spec(job="j-1"), sources, resolved="jobs/j-1/result/manifest.json")

    (file,) = found
    assert (file.path, file.size_bytes) == ("blob:jobs/j-1/result/0.jsonl", 3)
    assert sources.name_of(file.path) == "result of j-1 (0.jsonl)"


def test_what_has_been_erased_is_told_without_the_name_of_a_blob(
    sources: Sources, blobs: BlobStore
) -> None:
    name = "uploads/acme/u-1/a.csv"
    with pytest.raises(SourceError, match=r"^upload u-1 \(a\.csv\): does not exist any more$"):
        list(list_sources(spec(upload={"id": "u-1"}), sources, resolved=name))

    with pytest.raises(SourceChangedError, match=r"^upload u-1 \(a\.csv\): was deleted"):
        sources.open_file(f"blob:{name}")
