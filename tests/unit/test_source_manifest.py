"""Manifests of every kind: which files they list, and what is wrong with them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from engine.errors import SourceError
from engine.source.choice import FileChoice
from engine.source.file import SourceFile
from engine.source.manifest import manifest_files, result_files
from engine.source.roots import SourceRoots
from engine.source.sources import Sources

ETAG = "0123456789abcdef0123456789abcdef"


class Objects:
    """Objects in a dict, by path, and which of them have been looked up."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.looked_up: list[str] = []

    def list_files(
        self, uri: str, *, is_sorted: bool = True, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        yield self.stat_file(uri)

    def stat_file(self, path: str) -> SourceFile:
        self.looked_up.append(path)
        if path not in self.content:
            raise SourceError(f"{path}: no such object", location=path)
        return SourceFile(path, len(self.content[path]), f"etag of {path}")

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        return BytesIO(self.content[path])

    def name_of(self, path: str) -> str:
        return path

    def local_path(self, path: str) -> str | None:
        return None


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def sources(objects: Objects, tmp_path: Path) -> Sources:
    return Sources({"": SourceRoots((tmp_path,)), "s3": objects, "blob": objects})


def put(objects: Objects, path: str, content: Any = b"data") -> str:
    """Write an object, anything but bytes as JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    objects.content[path] = data
    return path


def listed(sources: Sources, *uris: str) -> list[str]:
    return [file.path for file in manifest_files(uris, sources)]


def refused(sources: Sources, uri: str) -> str:
    with pytest.raises(SourceError) as caught:
        listed(sources, uri)
    return caught.value.message


# ------------------------------------------------------------------ inventories


def inventory(objects: Objects, lines: str, *, schema: str, **more: Any) -> str:
    put(objects, "s3://reports/data/1.csv.gz", gzip.compress(lines.encode()))
    manifest = {
        "sourceBucket": "data",
        "destinationBucket": "arn:aws:s3:::reports",
        "fileFormat": "CSV",
        "fileSchema": schema,
        "files": [{"key": "data/1.csv.gz", "size": 1, "MD5checksum": "x"}],
    }
    return put(objects, "s3://reports/manifest.json", manifest | more)


def test_an_inventory_with_etags_needs_no_look_at_the_objects(
    sources: Sources, objects: Objects
) -> None:
    lines = (
        f'"data","a/b+c%2Bd%3D1.csv","12","2026-01-31T12:00:00.000Z","{ETAG}"\n'
        f'"data","folder/","0","2026-01-31T12:00:00.000Z","{ETAG}"\n'
        f'"data","z.csv","7","2026-01-31T12:00:00.000Z","{ETAG}-3"\n'
    )
    uri = inventory(objects, lines, schema="Bucket, Key, Size, LastModifiedDate, ETag")

    assert list(manifest_files([uri], sources)) == [
        SourceFile("s3://data/a/b c+d=1.csv", 12, f'"{ETAG}"', 1769860800000),
        SourceFile("s3://data/z.csv", 7, f'"{ETAG}-3"', 1769860800000),
    ]
    assert objects.looked_up == [uri, "s3://reports/data/1.csv.gz"]


def test_objects_whose_etag_is_not_told_are_looked_up(sources: Sources, objects: Objects) -> None:
    for i in range(40):
        put(objects, f"s3://data/{i}.csv", b"x" * i)
    lines = "".join(f'"data","{i}.csv","99"\n' for i in range(40))
    uri = inventory(objects, lines, schema="Bucket, Key, Size")

    found = list(manifest_files([uri], sources))

    assert [file.path for file in found] == [f"s3://data/{i}.csv" for i in range(40)]
    assert [file.size_bytes for file in found] == list(range(40))


def test_deleted_and_old_versions_are_passed_over(sources: Sources, objects: Objects) -> None:
    lines = (
        f'"data","a.csv","v1","false","false","1","{ETAG}"\n'
        f'"data","b.csv","v2","true","true","","{ETAG}"\n'
        f'"data","c.csv","v3","true","false","1","{ETAG}"\n'
    )
    schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag"

    assert listed(sources, inventory(objects, lines, schema=schema)) == ["s3://data/c.csv"]


@pytest.mark.parametrize(
    ("content", "looked_up"),
    [
        (f'"data","a.csv","12","2026-01-31T12:00:00.000Z","{ETAG}"\n', False),
        ('"data","a.csv"\n', True),
        ("data,a.csv,some-version-id\r\n", True),
        ("Bucket,Key\ndata,a.csv\n", True),
        ("\ufeffs3://data/a.csv\n", True),
    ],
)
def test_a_csv_by_itself_is_a_manifest(
    sources: Sources, objects: Objects, content: str, looked_up: bool
) -> None:
    put(objects, "s3://data/a.csv")

    for data in (content.encode(), gzip.compress(content.encode())):
        objects.looked_up.clear()
        assert listed(sources, put(objects, "s3://m/list.csv", data)) == ["s3://data/a.csv"]
        assert ("s3://data/a.csv" in objects.looked_up) == looked_up


# ------------------------------------------------------------------ unload, Athena, our own


def test_entries_of_an_unload_are_listed_and_optional_ones_may_be_missing(
    sources: Sources, objects: Objects
) -> None:
    put(objects, "s3://data/0000_part_00")
    entries = [
        {"url": "s3://data/0000_part_00", "mandatory": True, "meta": {"content_length": 4}},
        {"url": "s3://data/missing"},
        {"url": "s3://data/missing2", "mandatory": False},
    ]
    uri = put(objects, "s3://data/manifest", {"entries": entries})

    assert listed(sources, uri) == ["s3://data/0000_part_00"]


def test_a_mandatory_entry_that_is_missing_is_named(sources: Sources, objects: Objects) -> None:
    uri = put(objects, "s3://d/m", {"entries": [{"url": "s3://data/x", "mandatory": True}]})

    assert refused(sources, uri) == "entries[0] of the manifest: s3://data/x: no such object"


def test_uris_a_line_are_listed_in_their_order_each_once(
    sources: Sources, objects: Objects
) -> None:
    for name in ("b*[1].csv", "a,1.csv"):
        put(objects, f"s3://data/{name}")
    lines = b's3://data/b*[1].csv\n\n"s3://data/a,1.csv"\ns3://data/b*[1].csv\n'
    first = put(objects, "s3://m/athena-manifest.csv", lines)
    second = put(objects, "s3://m/again.csv", b"s3://data/b*[1].csv")

    assert listed(sources, first, second) == ["s3://data/b*[1].csv", "s3://data/a,1.csv"]


def test_names_without_a_scheme_lie_beside_the_manifest(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("in/a.csv", "in/b.csv", "c.csv"):
        (tmp_path / name).write_text("x")
    root = tmp_path.resolve()
    (tmp_path / "in" / "list.txt").write_text(f"a.csv\nfile://{root}/in/b.csv\n{root}/c.csv\n")

    assert listed(sources, "in/list.txt") == [
        f"{root}/{n}" for n in ("in/a.csv", "in/b.csv", "c.csv")
    ]


def result(*names: str) -> dict[str, Any]:
    return {"job": "j-1", "files": [{"name": name, "rows": 1, "bytes": 4} for name in names]}


def test_the_manifest_of_a_result_names_files_beside_it(sources: Sources, objects: Objects) -> None:
    put(objects, "s3://out/j-1/part-0.jsonl")
    put(objects, "blob:jobs/j-1/result/part-0.jsonl")
    manifest = result("jobs/j-1/result/part-0.jsonl")
    copied = put(objects, "s3://out/j-1/manifest.json", manifest)
    own = put(objects, "blob:jobs/j-1/result/manifest.json", manifest)

    assert listed(sources, copied) == ["s3://out/j-1/part-0.jsonl"]
    assert [file.path for file in result_files(own, sources)] == [
        "blob:jobs/j-1/result/part-0.jsonl"
    ]


# ------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "line 1: is not JSON"),
        (b'{\n"entries": [,]}', "line 2: is not JSON"),
        ({"rows": 1}, "is no manifest: it has neither entries nor files"),
        ({"entries": {}}, "entries is not a list"),
        ({"entries": ["s3://a/b"]}, "entries[0]: is not an object"),
        ({"entries": [{"uri": "s3://a/b"}]}, "entries[0]: has no url"),
        ({"entries": [{"url": "blob:jobs/j-1/result/r"}]}, None),
        ({"entries": [{"url": "blob://jobs/j-1/result/r"}]}, "is not the name of a file"),
        ({"entries": [{"url": "../../etc/passwd"}]}, "is not the name of a file"),
        (b"s3://data/a.csv\ndata,\n", "line 2: expected a bucket and a key, or a URI"),
        (b"data,a.csv\n\n,b.csv\n", "line 3: expected a bucket and a key, or a URI"),
        (b"Bucket,Key,Size\ndata,a.csv\n", "line 2: has 2 fields, expected 3"),
        (b'data,a.csv\n"data,b.csv\n', "unexpected end of data"),
        (b"data,\xff.csv\n", "is not UTF-8"),
        (b"x" * 100_000, "line 1: is longer than 65536 characters"),
        (gzip.compress(b"data,a.csv\n" * 1000, mtime=0)[:-20], "its gzip data is damaged"),
        ({"fileSchema": "Bucket, Key", "fileFormat": "ORC", "files": []}, "only CSV can be read"),
        ({"fileSchema": "Bucket, Key", "files": []}, "destinationBucket names no bucket"),
    ],
)
def test_a_manifest_that_is_none_is_refused_with_the_place(
    sources: Sources, objects: Objects, content: Any, reason: str | None
) -> None:
    put(objects, "s3://data/a.csv")
    put(objects, "blob:jobs/j-1/result/r")
    message = refused_or_empty(sources, put(objects, "s3://m/manifest", content))

    assert (reason or "") in message
    if reason:
        assert message.startswith("manifest s3://m/manifest: ")


def refused_or_empty(sources: Sources, uri: str) -> str:
    """Return why a manifest is refused, or an empty text when it lists nothing."""
    try:
        assert listed(sources, uri) == []
    except SourceError as exc:
        return exc.message
    return ""


def test_a_local_file_out_of_the_roots_cannot_be_listed(sources: Sources, objects: Objects) -> None:
    uri = put(objects, "s3://m/list", b"/etc/passwd\n")

    assert "is not below one of the source roots" in refused(sources, uri)
