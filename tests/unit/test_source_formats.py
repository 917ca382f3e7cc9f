"""Format and compression, told from name, content and what was declared."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable

import pytest
import zstandard

from engine.batch import Compression
from engine.errors import RecordError
from engine.source.formats import HEAD_BYTES, FileLayout, detect
from engine.spec import DataFormat

AUTO = DataFormat.AUTO
PLAIN = Compression.NONE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", DataFormat.CSV),
        ("in/A.CSV", DataFormat.CSV),
        ("a.jsonl", DataFormat.JSONL),
        ("a.ndjson", DataFormat.JSONL),
        ("a.tsv", DataFormat.TEXT),
        ("a.csv.log", DataFormat.TEXT),
        ("csv", DataFormat.TEXT),
        (".csv", DataFormat.TEXT),
        ("a.csv.gz", DataFormat.CSV),
        ("a.csv.7z", DataFormat.TEXT),
        ("in.csv/a", DataFormat.TEXT),
        ("what?.csv", DataFormat.CSV),
    ],
)
def test_the_format_follows_the_name_unless_it_is_declared(name: str, expected: DataFormat) -> None:
    assert detect(b"a,b\n", name, AUTO) == FileLayout(expected, PLAIN)
    assert detect(b"a,b\n", name, DataFormat.JSONL) == FileLayout(DataFormat.JSONL, PLAIN)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}\n', DataFormat.JSONL),
        (b'\xef\xbb\xbf\n{"a": 1}\r\n{"a": 2}', DataFormat.JSONL),
        (b"[1]\n[2]\n", DataFormat.JSONL),
        (b'{"a": 1}\n', DataFormat.JSON),
        (b'[{"a": 1}, {"a": 2}]\n', DataFormat.JSON),
        (b'{\n "a": 1\n}\n', DataFormat.JSON),
        (b'[\n{"a": 1},\n{"a": 2}\n]', DataFormat.JSON),
        (b'{"a": "' + b"x" * HEAD_BYTES, DataFormat.JSON),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "part-0000"])
def test_json_is_a_document_unless_each_line_is_a_value(
    name: str, content: bytes, expected: DataFormat
) -> None:
    assert detect(content[:HEAD_BYTES], name, AUTO).format is expected


@pytest.mark.parametrize(
    "content", [b"[info] started\n[info] done\n", b"{x\n", b"[" * 9, b"", b"x"]
)
def test_a_file_without_a_suffix_that_is_no_json_is_text(content: bytes) -> None:
    assert detect(content, "LOG", AUTO).format is DataFormat.TEXT


def test_a_pointer_means_that_a_json_file_is_a_document() -> None:
    head = b'{"a": []}\n{"a": []}\n'

    assert detect(head, "a.json", AUTO, has_pointer=True).format is DataFormat.JSON
    assert detect(head, "a.jsonl", AUTO, has_pointer=True).format is DataFormat.JSONL


@pytest.mark.parametrize(
    ("compress", "compression"),
    [
        (gzip.compress, Compression.GZIP),
        (bz2.compress, Compression.BZIP2),
        (zstandard.compress, Compression.ZSTD),
        (lambda data: b"\x50\x2a\x4d\x18\x00\x00\x00\x00" + zstandard.compress(data), "zstd"),
    ],
)
def test_compression_is_told_by_the_bytes_and_the_format_by_what_they_hold(
    compress: Callable[[bytes], bytes], compression: Compression
) -> None:
    head = compress(b'{"a": 1}\n{"a": 2}\n')

    for name in ("a", "a.json", "a.json.gz", "a.json.zst"):
        assert detect(head, name, AUTO) == FileLayout(DataFormat.JSONL, compression)
    assert detect(head, "a.csv.bz2", AUTO) == FileLayout(DataFormat.CSV, compression)
    assert detect(head, "a.csv", DataFormat.TEXT) == FileLayout(DataFormat.TEXT, compression)


@pytest.mark.parametrize("content", [b"BZh is a text", b"BZh9 too", b"", b"\x1f", b"P*M"])
def test_a_name_alone_or_a_likeness_is_no_compression(content: bytes) -> None:
    assert detect(content, "a.txt.bz2", AUTO) == FileLayout(DataFormat.TEXT, PLAIN)


@pytest.mark.parametrize("name", ["a.parquet", "a.pq", "part-0000", "a.data", "a.json"])
def test_parquet_is_told_by_its_first_bytes(name: str) -> None:
    assert detect(b"PAR1\x15\x04", name, AUTO) == FileLayout(DataFormat.PARQUET, PLAIN)


def test_a_text_that_begins_like_parquet_is_a_text() -> None:
    assert detect(b"PAR1, the first", "a.txt", AUTO).format is DataFormat.TEXT


@pytest.mark.parametrize(("name", "declared"), [("a.parquet", AUTO), ("a.csv", DataFormat.PARQUET)])
def test_what_should_be_parquet_and_is_not_is_refused(name: str, declared: DataFormat) -> None:
    with pytest.raises(RecordError, match=rf"^{name}: is not a Parquet file: "):
        detect(b"a,b\n", name, declared)
    with pytest.raises(RecordError, match=rf"^{name}: a Parquet file compressed with gzip"):
        detect(gzip.compress(b"PAR1"), name, declared)
    with pytest.raises(RecordError, match=r"^upload 7 \(a\): is not a Parquet file: "):
        detect(b"a,b\n", name, declared, label="upload 7 (a)")
