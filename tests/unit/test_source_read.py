"""Items as programs see them, the errors of bad data, and where an item came from."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.batch import Batch, FilePlace, InlinePlace
from engine.errors import RecordError, SourceChangedError
from engine.source.basket import Basket
from engine.source.cut import cut_files
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import BatchingSpec, CsvSpec, FilesMode, FilesSpec


class Source:
    """A root with files, and a reader."""

    def __init__(self, root: Path, files: dict[str, bytes], csv: CsvSpec | None = None) -> None:
        self.sources = Sources.local(root)
        self.spec = FilesSpec(uris=tuple(files) or (".",), csv=csv or CsvSpec())
        self.reader = BatchReader(self.sources, self.spec)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

    def batches(self, batching: BatchingSpec | None = None) -> list[Batch]:
        limits = batching or BatchingSpec()
        basket = Basket(max_bytes=limits.max_bytes or 2**20, max_items=limits.max_items)
        files = self.sources.list_files(self.spec.uris)
        return list(cut_files(files, self.spec, basket, self.sources))

    def items(self) -> list[Any]:
        return [item for batch in self.batches() for item in self.reader.read(batch)]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"\n\na\n\n", ["", "", "a", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r\r\n", ["a\rb\r"]),
        ("a\u2028b\x0bc\x85\n".encode(), ["a\u2028b\x0bc\x85"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (b"\xef\xbb\xbf", []),
        (b"a\0b\n", ["a\0b"]),
    ],
)
def test_text_gives_lines(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert Source(tmp_path, {"a.txt": content}).items() == lines


def test_jsonl_gives_values_of_any_kind(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"a": 1}\n\n  \r\n[1, null]\r\n"text"\n1.5\ntrue'

    assert Source(tmp_path, {"a.jsonl": content}).items() == [
        {"a": 1}, [1, None], "text", 1.5, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (CsvSpec(), [{"x": "1", "y": "2"}]),
        (CsvSpec(columns=("p", "q")), [{"p": "1", "q": "2"}]),
        (
            CsvSpec(header=False),
            [{"column0": "x", "column1": "y"}, {"column0": "1", "column1": "2"}],
        ),
        (CsvSpec(header=False, columns=("p", "q")), [{"p": "x", "q": "y"}, {"p": "1", "q": "2"}]),
        (CsvSpec(delimiter=";"), [{"x,y": "1,2"}]),
    ],
)
@pytest.mark.parametrize("max_bytes", [None, 1])
def test_csv_columns_come_from_the_header_the_spec_or_their_position(
    tmp_path: Path, layout: CsvSpec, expected: list[dict[str, str]], max_bytes: int | None
) -> None:
    source = Source(tmp_path, {"a.csv": b"\xef\xbb\xbf\nx,y\n\n1,2\n"}, layout)

    batches = source.batches(BatchingSpec(max_bytes=max_bytes))

    assert [item for batch in batches for item in source.reader.read(batch)] == expected


def test_each_csv_file_has_its_own_header(tmp_path: Path) -> None:
    source = Source(tmp_path, {"a.csv": b"x\n1\n2\n", "b.csv": b"y\n3\n4\n"})

    batches = source.batches(BatchingSpec(max_items=1))

    assert [source.reader.read(batch) for batch in batches] == [
        [{"x": "1"}], [{"x": "2"}], [{"y": "3"}], [{"y": "4"}],
    ]  # fmt: skip


def test_a_long_csv_header_is_found_by_later_slices(tmp_path: Path) -> None:
    header = ",".join(f'"column\n{i}"' for i in range(20_000))
    row = ",".join("1" for _ in range(20_000))
    source = Source(tmp_path, {"a.csv": f"{header}\n{row}\n{row}\n".encode()})

    last = source.batches(BatchingSpec(max_items=1))[-1]

    assert source.reader.read(last)[0]["column\n19999"] == "1"


def test_a_csv_field_may_be_larger_than_the_csv_module_allows_by_default(tmp_path: Path) -> None:
    before = csv.field_size_limit(10)
    source = Source(tmp_path, {"a.csv": b"x\n" + b"1" * 200_000})

    assert len(source.items()[0]["x"]) == 200_000
    csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"abc\nd\xffe\n", "in/a.txt: byte 0xff at offset 5 is not UTF-8"),
        ("a.txt", b"\xef\xbb\xbf\xc3", "in/a.txt: byte 0xc3 at offset 3 is not UTF-8"),
        ("a.csv", b"a,b\n1,\xff\n", "in/a.csv: byte 0xff at offset 6 is not UTF-8"),
        ("a.jsonl", b'1\n\n"\xff"\n', "in/a.jsonl: byte 0xff at offset 4 is not UTF-8"),
        (
            "a.jsonl",
            b'\xef\xbb\xbf1\n\n{"a": nope}\n',
            "in/a.jsonl: the record at byte 6 is not JSON: "
            "invalid literal, expected 'null', column 7",
        ),
        (
            "a.csv",
            "a,b\né,2\n\n1,2,3\n".encode(),
            "in/a.csv: the row at byte 10 has 3 fields, expected 2",
        ),
        ("a.csv", b'a,b\n"x\ny"\n', "in/a.csv: the row at byte 4 has 1 fields, expected 2"),
        ("a.csv", b"a,b,a\n", "in/a.csv: there are two columns called 'a'"),
    ],
)
def test_bad_data_is_named_with_file_and_byte(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    source = Source(tmp_path, {f"in/{name}": content})

    with pytest.raises(RecordError) as caught:
        source.items()

    assert caught.value.message == message


def test_the_offset_is_that_in_the_file_and_not_in_the_slice(tmp_path: Path) -> None:
    source = Source(tmp_path, {"a.txt": b"abc\nd\xffe\n"})

    with pytest.raises(RecordError, match="offset 5"):
        source.reader.read(source.batches(BatchingSpec(max_items=1))[1])


def test_a_file_cut_short_after_planning_is_refused(tmp_path: Path) -> None:
    source = Source(tmp_path, {"a.txt": b"abc\ndef\n"})
    batches = source.batches()
    os.truncate(tmp_path / "a.txt", 4)

    with pytest.raises(SourceChangedError, match=r"a\.txt: was changed after the job was planned"):
        source.reader.read(batches[0])


def test_a_file_deleted_after_planning_is_refused(tmp_path: Path) -> None:
    source = Source(tmp_path, {"a.txt": b"abc\ndef\n"})
    batches = source.batches()
    (tmp_path / "a.txt").unlink()

    with pytest.raises(SourceChangedError, match=r"a\.txt: was deleted after the job was planned"):
        source.reader.read(batches[0])


def test_a_csv_whose_header_was_overwritten_after_planning_is_refused(tmp_path: Path) -> None:
    source = Source(tmp_path, {"a.csv": b"a\n" + b"1\n" * 9_000_000})
    [part] = source.batches(BatchingSpec(max_bytes=1_000_000))[-1].slices
    last = Batch(slices=(replace(part, version=""),))
    (tmp_path / "a.csv").write_bytes(b'"' + b"1\n" * 9_000_000 + b"1")

    with pytest.raises(RecordError, match=r"a\.csv: the record at byte 0 has at least"):
        source.reader.read(last)


# ------------------------------------------------------------------ inline items and places


def test_inline_items_are_returned_as_they_are() -> None:
    reader = BatchReader(Sources.local(), None)

    assert reader.read(Batch(items=("a", {"b": 1}))) == ["a", {"b": 1}]
    assert reader.place_of(Batch(items=("a", "b"), first_item=10), 1) == InlinePlace(11)


@pytest.mark.parametrize(
    ("name", "content", "offsets"),
    [
        ("a.txt", "\ufeffé\n\nb", [3, 6, 7]),
        ("a.jsonl", '1\n\n"é"\n \n3', [0, 3, 10]),
        ("a.csv", 'a,b\n\n"é\n",2\r\n1,2\r3,4', [5, 14, 18]),
    ],
)
@pytest.mark.parametrize("max_items", [None, 1])
def test_the_place_of_an_item_is_its_first_byte(
    tmp_path: Path, name: str, content: str, offsets: list[int], max_items: int | None
) -> None:
    source = Source(tmp_path, {f"in/{name}": content.encode(), f"in/2-{name}": content.encode()})

    places = [
        source.reader.place_of(batch, index)
        for batch in source.batches(BatchingSpec(max_items=max_items))
        for index in range(len(source.reader.read(batch)))
    ]

    assert places == [
        FilePlace(file, offset) for file in (f"in/{name}", f"in/2-{name}") for offset in offsets
    ]


def test_there_is_no_place_after_the_last_item(tmp_path: Path) -> None:
    source = Source(tmp_path, {"a.txt": b"a\n"})

    with pytest.raises(IndexError):
        source.reader.place_of(source.batches()[0], 1)


def test_an_empty_slice_of_a_csv_has_no_rows(tmp_path: Path) -> None:
    source = Source(tmp_path, {"a.csv": b"\n\n"})

    [whole] = source.batches()

    assert source.items() == []
    assert source.reader.read(Batch(slices=(replace(whole.slices[0], end=1),))) == []


def test_the_items_of_a_listing_are_placed_by_their_files() -> None:
    reader = BatchReader(Sources.local(), FilesSpec(uris=("x",), mode=FilesMode.OBJECTS))
    batch = Batch(items=({"uri": "a.txt"}, {"uri": "b/c.txt"}))

    assert [str(reader.place_of(batch, index)) for index in (0, 1)] == ["a.txt", "b/c.txt"]


# ------------------------------------------------------------------ in chunks


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_large_slice_is_read_in_chunks_of_at_most_ten_thousand_items(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    lines = [f"line {number}" for number in range(300_000)]
    source = Source(tmp_path, {"a.txt": compress("\n".join(lines).encode())})
    [batch] = source.batches(BatchingSpec(max_bytes=2**30))

    chunks = list(source.reader.chunks(batch))

    assert [line for chunk in chunks for line in chunk] == lines
    assert all(0 < len(chunk) <= 10_000 for chunk in chunks)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_places_are_known_while_and_after_a_batch_is_read_in_chunks(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    source = Source(tmp_path, {"a.txt": compress(b"123456789\n" * 300_000)})
    [batch] = source.batches(BatchingSpec(max_bytes=2**30))
    count = 0

    for chunk in source.reader.chunks(batch):
        place = source.reader.place_of(batch, count + len(chunk) - 1)
        count += len(chunk)
        assert place == FilePlace("a.txt", (count - 1) * 10)

    for index in (0, 299_999, 150_000, 150_001, 7):
        assert source.reader.place_of(batch, index) == FilePlace("a.txt", index * 10)


def test_chunks_of_inline_items_are_bounded_too() -> None:
    reader = BatchReader(Sources.local())

    chunks = list(reader.chunks(Batch(items=tuple(map(str, range(25_000))))))

    assert list(map(len, chunks)) == [10_000, 10_000, 5_000]


READ_ALL = """
import resource, sys
from pathlib import Path
from engine.batch import Batch, Compression, FileSlice
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import DataFormat, LayoutSpec

path = Path(sys.argv[1])
part = FileSlice(
    str(path), 0, path.stat().st_size, "", DataFormat(sys.argv[2]), Compression(sys.argv[3])
)
layout = LayoutSpec(items_pointer="/items" if sys.argv[2] == "JSON" else None)
chunks = BatchReader(Sources.local(path.parent), layout).chunks(Batch(slices=(part,)))
count = len(next(chunks))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count += sum(map(len, chunks))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("data_format", "head", "row", "tail"),
    [
        ("TEXT", b"", b"%09d,some text that is not short\n", b""),
        ("CSV", b"n,text\n", b"%09d,some text that is not short\n", b""),
        ("JSON", b'{"items": [0', b',\n{"n": 1%09d, "text": "some \\" text"}', b"]}"),
    ],
)
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_long_file_is_read_in_little_memory(
    tmp_path: Path, data_format: str, head: bytes, row: bytes, tail: bytes, compression: str
) -> None:
    content = head + b"".join(row % n for n in range(100_000)) * 20 + tail
    path = tmp_path / "a.data"
    path.write_bytes(gzip.compress(content, 1) if compression == "gzip" else content)
    arguments = [sys.executable, "-c", READ_ALL, str(path), data_format, compression]

    done = subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    count, grown_kib = map(int, done.stdout.split())
    assert count == 2_000_000 + (data_format == "JSON")
    assert grown_kib < 48 * 1024


# ------------------------------------------------------------------ folders that name columns


def test_rows_have_the_columns_that_their_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "year=2026" / "city=S%C3%A3o"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("x\n1\n")
    (folder / "b.jsonl").write_text('{"x": 1, "year": 1999}\n5\n')
    (folder / "c.txt").write_text("line\n")

    assert Source(tmp_path, {}).items() == [
        {"x": "1", "year": 2026, "city": "São"},
        {"x": 1, "year": 1999, "city": "São"},
        5,
        "line",
    ]
