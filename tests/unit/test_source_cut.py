"""Batches hold whole records, every byte once and in order, within the limits."""

from __future__ import annotations

import bz2
import csv
import gzip
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from engine.batch import Batch, Compression
from engine.errors import RecordError, SourceChangedError
from engine.plan import target_batch_bytes
from engine.source.basket import Basket, Shares
from engine.source.chunk import MAX_RECORD_BYTES
from engine.source.cut import cut_files
from engine.source.file import SourceFile
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import BatchingSpec, CsvSpec, DataFormat, FilesSpec

MIB = 1024 * 1024
BOM = "\ufeff"

batchings = st.builds(
    BatchingSpec,
    max_items=st.none() | st.integers(1, 5),
    max_bytes=st.none() | st.integers(1, 80),
)
maybe_bom = st.sampled_from(["", BOM])
line_ends = st.sampled_from(["\n", "\r\n"])


class Cut:
    """Files in a folder of their own, cut and read."""

    def __init__(self, root: Path, contents: Sequence[str | bytes], **files_spec: Any) -> None:
        self.sources = Sources.local(root)
        self.spec = FilesSpec(uris=(".",), **files_spec)
        for i, content in enumerate(contents):
            data = content.encode() if isinstance(content, str) else content
            (root / f"{i:04}.data").write_bytes(data)
        self.files = list(self.sources.list_files(self.spec.uris))

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def batches(self, batching: BatchingSpec) -> list[Batch]:
        max_bytes = batching.max_bytes or target_batch_bytes(self.size_bytes)
        return self.fill(Basket(max_bytes=max_bytes, max_items=batching.max_items))

    def shares(self, batches: int) -> list[Batch]:
        return self.fill(Shares(total_bytes=self.size_bytes, batches=batches))

    def fill(self, basket: Basket) -> list[Batch]:
        return list(cut_files(self.files, self.spec, basket, self.sources))

    def items(self, batches: Sequence[Batch]) -> list[Any]:
        reader = BatchReader(self.sources, self.spec)
        return [item for batch in batches for item in reader.read(batch)]


def assert_cover(files: Sequence[SourceFile], batches: Sequence[Batch]) -> None:
    """Check that the slices are the files' bytes, each once and in order."""
    slices = [part for batch in batches for part in batch.slices]
    assert all(part.size_bytes > 0 for part in slices)
    assert all(batch.slices for batch in batches)
    ends = dict.fromkeys([file.path for file in files if file.size_bytes], 0)
    assert list(dict.fromkeys(part.path for part in slices)) == list(ends)
    for part in slices:
        assert part.start == ends[part.path]
        ends[part.path] = part.end
    assert ends == {file.path: file.size_bytes for file in files if file.size_bytes}


def in_folder(test: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        test(Path(folder))


# ------------------------------------------------------------------ properties


def lines_of(text: str) -> list[str]:
    """Return the lines the plain way."""
    lines = text.removeprefix(BOM).split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


texts = st.builds(str.__add__, maybe_bom, st.text("aé\x0b\u2028\r\n", max_size=60))


@given(st.lists(texts, min_size=1, max_size=4), batchings)
def test_text_is_read_as_a_whole_however_it_is_cut(
    contents: list[str], batching: BatchingSpec
) -> None:
    def check(root: Path) -> None:
        cut = Cut(root, contents)
        batches = cut.batches(batching)

        assert_cover(cut.files, batches)
        assert cut.items(batches) == [line for text in contents for line in lines_of(text)]
        for batch in batches:
            count = len(cut.items([batch]))
            assert count <= (batching.max_items or count)
            assert batch.size_bytes <= (batching.max_bytes or MIB) or count <= 1

    in_folder(check)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a\n"é\u2028', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("kl"), inner, max_size=2),
    max_leaves=5,
)
json_lines = st.builds(
    lambda before, value, end: before + orjson.dumps(value).decode() + end,
    st.sampled_from(["", "", "\n", "  \n", "\r\n", " "]),
    values,
    line_ends,
)


json_texts = st.builds(lambda bom, lines: bom + "".join(lines), maybe_bom, st.lists(json_lines))


@given(st.lists(json_texts, min_size=1, max_size=4), batchings)
def test_jsonl_is_read_as_a_whole_however_it_is_cut(
    contents: list[str], batching: BatchingSpec
) -> None:
    def check(root: Path) -> None:
        cut = Cut(root, contents, format=DataFormat.JSONL)
        batches = cut.batches(batching)

        assert_cover(cut.files, batches)
        assert cut.items(batches) == [
            orjson.loads(line) for text in contents for line in lines_of(text) if line.strip()
        ]
        for batch in batches:
            assert len(cut.items([batch])) <= (batching.max_items or 10**9)

    in_folder(check)


plain_fields = st.text("aé ", min_size=1, max_size=5)
stray_fields = st.builds(lambda a, b: a + '"' + b, plain_fields, st.text('a" ', max_size=4))
quoted_fields = st.text('a,é"\r\n', max_size=8).map(lambda s: '"' + s.replace('"', '""') + '"')
fields = (
    plain_fields
    | stray_fields
    | quoted_fields
    | st.builds(
        lambda quoted, rest: quoted + rest, quoted_fields, st.text("a ", min_size=1, max_size=2)
    )
)


@st.composite
def csv_texts(draw: st.DrawFn) -> str:
    """Rows of two fields of every kind, blank lines, every kind of line end, maybe a BOM."""
    rows = draw(st.lists(st.tuples(fields, fields, line_ends | st.sampled_from(["\r", "\n\n"]))))
    text = "".join(f"{first},{second}{end}" for first, second, end in rows)
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    return draw(maybe_bom) + text


def rows_of(text: str) -> list[list[str]]:
    """Return the rows as the csv module reads them from the whole file."""
    return [row for row in csv.reader(StringIO(text.removeprefix(BOM), newline="")) if row]


@given(
    st.lists(csv_texts(), min_size=1, max_size=4),
    batchings,
    st.sampled_from(["header", "none", "given"]),
)
def test_csv_is_read_as_the_csv_module_reads_the_whole_file(
    contents: list[str], batching: BatchingSpec, names: str
) -> None:
    header = "left,right\r\n" if names == "header" else ""
    columns = ("left", "right") if names != "none" else ("column0", "column1")
    layout = CsvSpec(header=bool(header), columns=columns if names == "given" else None)

    def check(root: Path) -> None:
        whole = [
            BOM + header + text.removeprefix(BOM) if text.startswith(BOM) else header + text
            for text in contents
        ]
        cut = Cut(root, whole, format=DataFormat.CSV, csv=layout)
        batches = cut.batches(batching)

        assert_cover(cut.files, batches)
        assert cut.items(batches) == [
            dict(zip(columns, row, strict=True)) for text in contents for row in rows_of(text)
        ]
        for batch in batches:
            assert len(cut.items([batch])) <= (batching.max_items or 10**9)

    in_folder(check)


@given(st.text('a,"\r\n', max_size=60), batchings)
def test_csv_of_any_content_is_either_read_right_or_refused(
    text: str, batching: BatchingSpec
) -> None:
    rows = rows_of(text)
    is_regular = len({len(row) for row in rows}) <= 1

    def check(root: Path) -> None:
        cut = Cut(root, [text], format=DataFormat.CSV, csv=CsvSpec(header=False))
        batches = cut.batches(batching)

        assert_cover(cut.files, batches)
        if is_regular:
            assert [list(item.values()) for item in cut.items(batches)] == rows
        else:
            with pytest.raises(RecordError, match=r"fields, expected"):
                cut.items(batches)

    in_folder(check)


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("total_bytes", "target_bytes"),
    [
        (0, MIB),
        (8 * MIB, MIB),
        (8 * MIB + 1, MIB + 1),
        (80 * MIB, 10 * MIB),
        (10**15, 32 * MIB),
    ],
)
def test_the_default_target_is_an_eighth_between_1_and_32_mib(
    total_bytes: int, target_bytes: int
) -> None:
    assert target_batch_bytes(total_bytes) == target_bytes


def sizes(batches: Sequence[Batch]) -> list[list[int]]:
    return [[part.size_bytes for part in batch.slices] for batch in batches]


def test_small_files_share_a_batch_and_stay_whole(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["a\n" * 3, "", "b\n" * 3, "c\n" * 3])

    assert sizes(cut.batches(BatchingSpec(max_bytes=12))) == [[6, 6], [6]]
    assert sizes(cut.batches(BatchingSpec(max_bytes=17))) == [[6, 6], [6]]
    assert sizes(cut.batches(BatchingSpec())) == [[6, 6, 6]]


def test_a_large_file_is_cut_after_the_last_record_that_fits(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["12345\n" * 4])

    assert sizes(cut.batches(BatchingSpec(max_bytes=17))) == [[12], [12]]
    assert sizes(cut.batches(BatchingSpec(max_bytes=18))) == [[18], [6]]


def test_a_record_larger_than_a_batch_is_a_batch_of_its_own(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["1\n", "1\n123456789\n1\n1\n"])

    assert sizes(cut.batches(BatchingSpec(max_bytes=4))) == [[2, 2], [10], [4]]
    assert sizes(cut.batches(BatchingSpec(max_bytes=4, max_items=9))) == [[2, 2], [10], [4]]


def test_max_items_fills_batches_across_files(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["1\n2\n3\n", "4", "5\n6\n"])

    assert sizes(cut.batches(BatchingSpec(max_items=2))) == [[4], [2, 1], [4]]


def test_a_csv_header_is_no_item(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["h\n1\n2\n3\n", "h\n4\n"], format=DataFormat.CSV)

    batches = cut.batches(BatchingSpec(max_items=1))

    assert [cut.items([batch]) for batch in batches] == [[{"h": n}] for n in "1234"]


def test_files_without_a_byte_give_no_batch(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["", ""])

    assert cut.batches(BatchingSpec()) == cut.batches(BatchingSpec(max_items=1)) == []


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("max_items", [None, 777])
def test_csv_of_many_blocks_is_cut_exactly(
    tmp_path: Path, line_end: str, max_items: int | None
) -> None:
    chance = random.Random(7)  # noqa: S311
    pieces = ["a", "b c", "é", '"x,y"', f'"{line_end}"', f'"say ""{line_end}"""', 'in"ch', '"c"d']
    rows = (f"{chance.choice(pieces)},{chance.choice(pieces) * 9}" for _ in range(90_000))
    text = "one,two" + line_end + line_end.join(rows)
    assert len(text) > 3 * MIB
    cut = Cut(tmp_path, [text], format=DataFormat.CSV)

    batches = cut.batches(BatchingSpec(max_items=max_items, max_bytes=MIB // 3))

    assert_cover(cut.files, batches)
    assert [list(item.values()) for item in cut.items(batches)] == rows_of(text)[1:]
    full = {len(cut.items([batch])) for batch in batches[:-1]}
    assert max_items is None or full == {max_items}


def test_a_line_end_across_two_blocks_is_one_line_end(tmp_path: Path) -> None:
    layout = CsvSpec(header=False)
    cut = Cut(tmp_path, ["x" * (MIB - 1) + "\r\nb\r\n"], format=DataFormat.CSV, csv=layout)

    assert sizes(cut.batches(BatchingSpec(max_items=1, max_bytes=2 * MIB))) == [[MIB + 1], [3]]


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize("data_format", [DataFormat.TEXT, DataFormat.JSONL, DataFormat.CSV])
@pytest.mark.parametrize("max_items", [None, 5])
@pytest.mark.parametrize("max_bytes", [100, 17 * MIB, 18 * MIB])
def test_a_record_over_the_limit_is_refused_when_planning_or_reading(
    tmp_path: Path, data_format: DataFormat, max_items: int | None, max_bytes: int
) -> None:
    data = b"1\n" + b"x" * (MAX_RECORD_BYTES + 1) + b"\nlast\n"
    cut = Cut(tmp_path, [data + b"1\n" * MIB], format=data_format)

    with pytest.raises(RecordError, match=r"^0000.data: .*(16777217|16777216)"):
        cut.items(cut.batches(BatchingSpec(max_items=max_items, max_bytes=max_bytes)))


@pytest.mark.parametrize("data_format", [DataFormat.TEXT, DataFormat.CSV])
@pytest.mark.parametrize("max_bytes", [1, 100, 17 * MIB])
def test_a_record_of_exactly_the_limit_is_read(
    tmp_path: Path, data_format: DataFormat, max_bytes: int
) -> None:
    data = b"a\n" + b"x" * MAX_RECORD_BYTES + b"\nb\n"
    cut = Cut(tmp_path, [data], format=data_format, csv=CsvSpec(header=False))

    assert len(cut.items(cut.batches(BatchingSpec(max_bytes=max_bytes)))) == 3


def test_the_too_long_record_is_named_with_its_place_and_the_limit(tmp_path: Path) -> None:
    cut = Cut(tmp_path, [b"first\n" + b"x" * (MAX_RECORD_BYTES + 1)])

    with pytest.raises(RecordError) as caught:
        cut.batches(BatchingSpec(max_bytes=100))

    assert caught.value.message == (
        "0000.data: the record at byte 6 has at least 16777217 bytes, the limit is 16777216"
    )


def test_a_too_long_record_within_a_long_batch_is_named_by_its_first_byte(tmp_path: Path) -> None:
    cut = Cut(tmp_path, [b"first\n" + b"x" * (40 * MIB)])

    with pytest.raises(RecordError, match="the record at byte 6 has at least"):
        cut.batches(BatchingSpec(max_bytes=30 * MIB))


def test_a_too_long_csv_field_in_a_file_that_stays_whole_is_refused(tmp_path: Path) -> None:
    cut = Cut(tmp_path, [b"first\n" + b"x" * (17 * MIB)], format=DataFormat.CSV)

    with pytest.raises(RecordError, match="the record at byte 6 has at least"):
        cut.items(cut.batches(BatchingSpec(max_bytes=30 * MIB)))


@pytest.mark.parametrize("max_bytes", [100, 100 * MIB])
def test_a_quote_that_is_never_closed_ends_at_the_record_limit(
    tmp_path: Path, max_bytes: int
) -> None:
    cut = Cut(tmp_path, [b'a\n"' + b"x\n" * (9 * MIB)], format=DataFormat.CSV)

    with pytest.raises(RecordError, match="the record at byte 2 has at least 1"):
        cut.items(cut.batches(BatchingSpec(max_bytes=max_bytes)))


@pytest.mark.parametrize("batching", [BatchingSpec(max_bytes=1), BatchingSpec(max_items=1)])
def test_a_file_that_shrank_after_it_was_listed_is_refused(
    tmp_path: Path, batching: BatchingSpec
) -> None:
    cut = Cut(tmp_path, ["a\nb\nc\n"])
    os.truncate(cut.files[0].path, 2)

    with pytest.raises(SourceChangedError, match=r"0000.data: was changed"):
        cut.batches(batching)


def test_a_file_that_shrank_without_a_version_is_refused_too(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["a\nb\nc\n"])
    cut.files = [SourceFile(cut.files[0].path, 9)]

    with pytest.raises(SourceChangedError, match=r"0000.data: has become shorter than 9 bytes"):
        cut.batches(BatchingSpec(max_bytes=1))


# ------------------------------------------------------------------ compressed, JSON and Parquet

COMPRESSORS: list[Callable[[bytes], bytes]] = [gzip.compress, bz2.compress, zstandard.compress]


@given(st.lists(texts, min_size=1, max_size=4), batchings, st.sampled_from(COMPRESSORS))
def test_compressed_files_are_read_as_a_whole_however_they_are_cut(
    contents: list[str], batching: BatchingSpec, compress: Callable[[bytes], bytes]
) -> None:
    def check(root: Path) -> None:
        cut = Cut(root, [compress(text.encode()) for text in contents])
        batches = cut.batches(batching)

        assert_cover(cut.files, batches)
        assert cut.items(batches) == [line for text in contents for line in lines_of(text)]
        assert batching.max_items is None or all(len(batch.slices) == 1 for batch in batches)

    in_folder(check)


@given(csv_texts(), st.sampled_from(COMPRESSORS))
def test_compressed_csv_is_read_as_the_csv_module_reads_it(
    text: str, compress: Callable[[bytes], bytes]
) -> None:
    def check(root: Path) -> None:
        layout = CsvSpec(header=False)
        cut = Cut(root, [compress(text.encode())], format=DataFormat.CSV, csv=layout)

        items = cut.items(cut.batches(BatchingSpec(max_bytes=1)))

        assert [list(item.values()) for item in items] == rows_of(text)

    in_folder(check)


def parquet(numbers: Sequence[int], *, group_rows: int) -> bytes:
    sink = BytesIO()
    table = pa.table({"n": pa.array(numbers, pa.int64())})
    pq.write_table(table, sink, row_group_size=group_rows)
    return sink.getvalue()


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=20), min_size=1, max_size=3),
    st.integers(1, 7),
    batchings | st.integers(1, 5),
)
def test_every_parquet_row_is_read_once_however_it_is_cut(
    files: list[list[int]], group_rows: int, batching: BatchingSpec | int
) -> None:
    def check(root: Path) -> None:
        cut = Cut(root, [parquet(numbers, group_rows=group_rows) for numbers in files])
        batches = cut.shares(batching) if isinstance(batching, int) else cut.batches(batching)

        assert [item["n"] for item in cut.items(batches)] == [n for rows in files for n in rows]
        if not isinstance(batching, int) and batching.max_items:
            most = max(batching.max_items, group_rows)
            assert all(len(cut.items([batch])) <= most for batch in batches)

    in_folder(check)


def test_row_groups_that_follow_one_another_are_one_slice(tmp_path: Path) -> None:
    cut = Cut(tmp_path, [parquet(range(10), group_rows=2)])

    batches = cut.batches(BatchingSpec(max_items=4))

    assert [[part.groups for part in batch.slices] for batch in batches] == [
        [(0, 2)], [(2, 4)], [(4, 5)],
    ]  # fmt: skip


def test_a_parquet_file_that_fits_into_a_batch_stays_whole(tmp_path: Path) -> None:
    cut = Cut(tmp_path, [parquet(range(10), group_rows=2)] * 2)

    [batch] = cut.batches(BatchingSpec())

    assert [part.groups for part in batch.slices] == [None, None]
    assert_cover(cut.files, [batch])


@pytest.mark.parametrize("max_items", [None, 1])
def test_a_parquet_file_cut_in_half_is_named(tmp_path: Path, max_items: int | None) -> None:
    data = parquet(range(1000), group_rows=10)
    cut = Cut(tmp_path, [data[: len(data) // 2]])

    with pytest.raises(RecordError, match=r"^0000.data: cannot be read as Parquet: "):
        cut.items(cut.batches(BatchingSpec(max_items=max_items)))


def test_a_slice_keeps_the_version_and_the_layout_of_its_file(tmp_path: Path) -> None:
    cut = Cut(tmp_path, [gzip.compress(b"a\n")])

    [batch] = cut.batches(BatchingSpec())

    [part] = batch.slices
    assert part.version == cut.files[0].version != ""
    assert part.compression is Compression.GZIP
    assert Batch.from_json(orjson.loads(orjson.dumps(batch.to_json()))) == batch


def test_batches_come_before_all_files_are_listed(tmp_path: Path) -> None:
    cut = Cut(tmp_path, ["a\n"] * 3)
    taken: list[SourceFile] = []

    def listing() -> Iterator[SourceFile]:
        for file in cut.files:
            taken.append(file)
            yield file

    next(cut_files(listing(), cut.spec, Basket(max_bytes=2), cut.sources))

    assert len(taken) == 2


# ------------------------------------------------------------------ equal shares


@given(st.lists(texts, min_size=1, max_size=6), st.integers(1, 9))
def test_text_in_shares_is_read_as_a_whole(contents: list[str], count: int) -> None:
    def check(root: Path) -> None:
        cut = Cut(root, contents)
        if not cut.size_bytes:
            return
        batches = cut.shares(count)

        assert_cover(cut.files, batches)
        assert cut.items(batches) == [line for text in contents for line in lines_of(text)]

    in_folder(check)


@given(st.lists(csv_texts(), min_size=1, max_size=4), st.integers(1, 9))
def test_csv_in_shares_is_read_as_a_whole(contents: list[str], count: int) -> None:
    def check(root: Path) -> None:
        cut = Cut(root, contents, format=DataFormat.CSV, csv=CsvSpec(header=False))
        if not cut.size_bytes:
            return

        items = cut.items(cut.shares(count))

        assert [list(item.values()) for item in items] == [
            row for text in contents for row in rows_of(text)
        ]

    in_folder(check)


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6),
    st.integers(1, 7),
    st.sampled_from([DataFormat.TEXT, DataFormat.CSV]),
)
def test_shares_of_lines_are_equal_to_within_a_line_and_a_sliver(
    kilolines: list[int], count: int, data_format: DataFormat
) -> None:
    def check(root: Path) -> None:
        line = "x" * 99 + "\n"
        cut = Cut(root, [line * 1000 * n for n in kilolines], format=data_format)
        if not cut.size_bytes:
            return
        batches = cut.shares(count)

        assert_cover(cut.files, batches)
        assert len(batches) <= count
        share = cut.size_bytes / count
        assert all(batch.size_bytes <= share + 100 + 64 * 1024 for batch in batches)

    in_folder(check)


def test_files_that_stay_whole_go_where_their_middle_lies(tmp_path: Path) -> None:
    contents = ["[" + " " * (size - 2) + "]" for size in (300, 100, 100, 100)]
    cut = Cut(tmp_path, contents, format=DataFormat.JSON)

    assert sizes(cut.shares(2)) == [[300], [100, 100, 100]]
