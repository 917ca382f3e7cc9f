"""All sources together: which store a URI and a path belong to."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from engine.errors import SourceError
from engine.source.choice import FileChoice
from engine.source.file import SourceFile
from engine.source.roots import SourceRoots
from engine.source.sources import Sources


class Fixed:
    """A store with some files, that tells which of them have been looked at."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.seen: list[str] = []

    def list_files(
        self, uri: str, *, is_sorted: bool = True, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        for path in self.paths:
            self.seen.append(path)
            yield SourceFile(path, 1)

    def stat_file(self, path: str) -> SourceFile:
        return SourceFile(path, 1)

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        return BytesIO(f"{path} {version}".encode())

    def name_of(self, path: str) -> str:
        return f"name of {path}"

    def local_path(self, path: str) -> str | None:
        return None


def test_each_uri_goes_to_its_store_and_each_file_comes_once(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    s3 = Fixed("s3://b/1", "s3://b/2")
    sources = Sources({"": SourceRoots((tmp_path,)), "s3": s3})

    found = sources.list_files(["b.txt", "s3://b/", "*.txt", "link.txt", "s3://b/*"])

    root = tmp_path.resolve()
    expected = [f"{root}/b.txt", "s3://b/1", "s3://b/2", f"{root}/a.txt"]
    assert [file.path for file in found] == expected


def test_files_are_told_of_as_they_are_found() -> None:
    s3 = Fixed("s3://b/1", "s3://b/2", "s3://b/3")

    found = Sources({"s3": s3}).list_files(["s3://b/"])

    assert s3.seen == []
    assert next(found).path == "s3://b/1"
    assert s3.seen == ["s3://b/1"]


def test_probe_looks_at_one_file_of_every_uri() -> None:
    s3, https = Fixed("s3://b/1", "s3://b/2"), Fixed("https://h/1")
    sources = Sources({"s3": s3, "https": https})

    assert sources.probe(["s3://b/", "https://h/1"]) == SourceFile("s3://b/1", 1)
    assert (s3.seen, https.seen) == (["s3://b/1"], ["https://h/1"])


def test_a_path_is_read_from_the_store_that_listed_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    local_disk = SourceRoots((tmp_path,))
    sources = Sources({"s3": Fixed(), "https": Fixed(), "blob": Fixed(), "": local_disk})

    for path in ("s3://b/1", "https://h/1", "blob:uploads/t/u/f"):
        assert sources.open_file(path, version="v").read() == f"{path} v".encode()
        assert sources.name_of(path) == f"name of {path}"
        assert sources.stat_file(path).path == path
        assert sources.local_path(path) is None
    local = f"{tmp_path.resolve()}/a.txt"
    assert sources.local_path(local) == local
    assert sources.name_of(local) == "a.txt"


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("s3://b/1", "s3://"),
        ("http://h/1", "http://"),
        ("ftp://h/1", "ftp://"),
        ("blob://jobs/j-1/result/r.jsonl", "blob://"),
    ],
)
def test_a_scheme_that_is_not_here_is_refused_and_what_is_here_told(uri: str, what: str) -> None:
    sources = Sources({"": SourceRoots(()), "https": Fixed(), "blob": Fixed("blob:secret")})

    def list_first(uris: list[str]) -> SourceFile:
        return next(sources.list_files(uris))

    for check in (sources.probe, list_first):
        with pytest.raises(SourceError) as caught:
            check([uri])
        assert caught.value.message == (
            f"{uri}: {what} is not available in this deployment; "
            "give a path below one of its source roots or https://host/file"
        )
        assert caught.value.location == uri
        assert caught.value.path == ("input", "source", "files", "uris")


def test_what_the_service_keeps_cannot_be_named_by_a_caller(tmp_path: Path) -> None:
    kept = Fixed("blob:secret")
    sources = Sources({"": SourceRoots((tmp_path,)), "blob": kept})

    with pytest.raises(SourceError, match="no such file or folder"):
        sources.probe(["blob:secret"])

    assert kept.seen == []
