"""Files without a record among others, or alone, as the source of a query."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from engine.errors import SourceError
from engine.program import Program
from tests.support.isolating import Lab

COUNT = "SELECT count(*) AS n, sum(a) AS s FROM input"
BOM = b"\xef\xbb\xbf"
FULL = {
    "csv": b"a,b\n1,x\n2,y\n",
    "jsonl": b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n',
    "json": b'[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]',
}
EMPTY = {
    "csv": [b"", b"\n", b"\r\n\r\n", BOM, b"a,b\n", b"a,b", BOM + b"a,b\r\n\r\n", b"other\n"],
    "jsonl": [b"", b"\n", b"\n  \n\t\r\n", BOM, BOM + b"\n"],
    "json": [b"", b"\n", b" \n ", BOM, b"[]"],
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
}


def count_columns(table: pa.Table, ctx: object) -> list[tuple[str, int]]:
    return [("a", sum(table["a"].to_pylist()))]


SUM = Program(
    name="sum", map_batch=count_columns, columnar=True, reduce=lambda key, values, ctx: sum(values)
)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, SUM)


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def source(lab: Lab, *contents: bytes, suffix: str, **files: Any) -> dict[str, Any]:
    """Write files that sort as they are given, and return the source that they are."""
    for index, content in enumerate(contents):
        lab.file(f"{index}{suffix}", content)
    return {"files": {"uris": [f"*{suffix}"], **files}}


@pytest.mark.parametrize("isolates", [False, True])
@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize(
    ("format", "empty"), [(format, empty) for format, found in EMPTY.items() for empty in found]
)
def test_an_empty_file_adds_no_rows_wherever_it_sorts(
    lab: Lab, format: str, empty: bytes, packing: str, isolates: bool
) -> None:
    pack = PACKED[packing]
    for contents in set(permutations([FULL[format], empty, empty])):
        given = source(lab, *map(pack, contents), suffix=f".{format}{packing}")

        ran = lab.run(COUNT, given, isolates=isolates)

        assert ran.rows == [{"n": 2, "s": 3}], contents
        assert ran.items == 2
        assert ran.failures == ()


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_one_full_file_among_many_empty_ones_tells_the_columns(lab: Lab, format: str) -> None:
    contents = [EMPTY[format][1]] * 40
    contents[17] = FULL[format]

    ran = lab.run(COUNT, source(lab, *contents, suffix=f".{format}"))

    assert ran.rows == [{"n": 2, "s": 3}]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_parquet_file_without_rows_adds_none_whatever_its_types(lab: Lab, at: int) -> None:
    full = parquet(pa.table({"a": [1, 2], "b": ["x", "y"]}))
    others = [
        parquet(pa.table({"a": pa.array([], pa.null()), "b": pa.array([], pa.int32())})),
        parquet(pa.table({"c": pa.array([], pa.string())})),
    ]
    others.insert(at, full)

    ran = lab.run(COUNT, source(lab, *others, b"", suffix=".parquet"))

    assert ran.rows == [{"n": 2, "s": 3}]


def test_a_parquet_file_without_rows_has_columns_nevertheless(lab: Lab) -> None:
    empty = parquet(pa.table({"a": pa.array([], pa.int64())}))

    assert lab.run(COUNT, source(lab, empty, suffix=".parquet")).rows == [{"n": 0, "s": None}]


def test_files_without_a_telling_name_may_be_empty_parts_of_any_format(lab: Lab) -> None:
    lab.file("part-0", b"\n")
    lab.file("part-1", gzip.compress(b""))
    lab.file("part-2", FULL["jsonl"])
    lab.file("part-_SUCCESS", b"")

    assert lab.run(COUNT, {"files": {"uris": ["part-*"]}}).rows == [{"n": 2, "s": 3}]


def test_a_header_alone_has_columns_and_no_rows(lab: Lab) -> None:
    query = "SELECT a, b FROM input"

    assert lab.run(query, source(lab, b"a,b\n", b"\n", suffix=".csv")).rows == []


@pytest.mark.parametrize("empty", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_declared_columns_are_there_without_a_row(lab: Lab, empty: bytes) -> None:
    csv = {"header": False, "columns": ["a", "b"]}
    given = source(lab, empty, empty, suffix=".csv", csv=csv)

    assert lab.run("SELECT a, b FROM input", given).rows == []
    assert lab.run("SELECT count(*) AS n FROM input", given).rows == [{"n": 0}]


def test_blank_lines_of_a_text_are_lines(lab: Lab) -> None:
    query = "SELECT count(*) AS n FROM input"

    assert lab.run(query, source(lab, b"\n\n", b"", b"x", suffix=".log")).rows == [{"n": 3}]


@pytest.mark.parametrize(
    ("suffix", "empty"), [(".csv", b"\n"), (".jsonl", b""), (".json", b"[]"), (".parquet", b"")]
)
def test_where_all_files_are_empty_that_is_said(lab: Lab, suffix: str, empty: bytes) -> None:
    with pytest.raises(SourceError) as alone:
        lab.run(COUNT, source(lab, empty, suffix=suffix))
    with pytest.raises(SourceError) as together:
        lab.run(COUNT, source(lab, empty, empty, empty, suffix=suffix))

    words = "empty, and no record tells what columns there are"
    assert alone.value.message == f"0{suffix}: it is {words}"
    assert together.value.message == f"0{suffix} and 2 more: they are {words}"


def test_records_without_a_column_count_beside_others(lab: Lab) -> None:
    given = source(lab, b"{}\n{}\n", FULL["jsonl"], suffix=".jsonl")

    assert lab.run(COUNT, given).rows == [{"n": 4, "s": 3}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{}\n", "0.jsonl: its records have no columns"),
        (b"1\n2\n", "0.jsonl: there are records that are not JSON objects"),
    ],
)
def test_records_that_are_no_rows_are_refused_in_words(
    lab: Lab, content: bytes, words: str
) -> None:
    with pytest.raises(SourceError) as caught:
        lab.run(COUNT, source(lab, content, suffix=".jsonl"))

    assert caught.value.message == words


def test_a_column_that_is_null_in_one_file_has_the_type_of_the_others(lab: Lab) -> None:
    given = source(lab, b'{"a": null}\n', b'{"a": 1}\n', b'{"a": 2}\n', suffix=".jsonl")

    assert lab.run(COUNT, given).rows == [{"n": 3, "s": 3}]


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("isolates", [False, True])
def test_blank_lines_before_a_header_are_passed_over(lab: Lab, ends: bytes, isolates: bool) -> None:
    content = b"\n\n" + FULL["csv"]
    given = source(lab, BOM + content.replace(b"\n", ends), content, suffix=".csv")

    assert lab.run(COUNT, given, isolates=isolates).rows == [{"n": 4, "s": 6}]


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("isolates", [False, True])
def test_a_columnar_program_is_not_asked_about_a_batch_of_empty_files(
    lab: Lab, packing: str, isolates: bool
) -> None:
    pack = PACKED[packing]
    contents = [pack(b"\n"), pack(FULL["jsonl"]), pack(b"\n \n")]
    given = source(lab, *contents, suffix=f".jsonl{packing}")

    ran = lab.run(SUM, given, isolates=isolates, batching={"maxBytes": 1})

    assert ran.rows == [{"key": "a", "value": 3}]
