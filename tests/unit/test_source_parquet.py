"""Parquet rows as programs see them: JSON values, their places, and bad files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from engine.batch import Batch, FileSlice, RowPlace
from engine.errors import RecordError, SourceChangedError
from engine.source.basket import Basket
from engine.source.cut import cut_files
from engine.source.file import SourceFile
from engine.source.parquet import MAX_FOOTER_BYTES, check_footer, read_row_groups
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import DataFormat, FilesSpec
from engine.sql.columns import ShapeFinder
from engine.sql.job import TableShape
from engine.sql.tables import InputTable

LAYOUT = FilesSpec(uris=("a.parquet",))


class ParquetFile:
    """A Parquet file and its reader."""

    def __init__(self, root: Path, table: Any, **options: Any) -> None:
        self.path = root / "a.parquet"
        pq.write_table(table, self.path, **options)
        self.reader = BatchReader(Sources.local(root))

    def batch(self, groups: tuple[int, int] | None = None) -> Batch:
        size = self.path.stat().st_size
        part = FileSlice(str(self.path), 0, size, "", DataFormat.PARQUET, groups=groups)
        return Batch(slices=(part,))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.int64(), 2**62, 2**62),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.bool_(), True, True),
        (pa.string(), "é", "é"),
        (pa.null(), None, None),
        (pa.float32(), 0.5, 0.5),
        (pa.float64(), float("nan"), None),
        (pa.float64(), float("-inf"), None),
        (pa.decimal128(10, 2), Decimal("1.50"), "1.50"),
        (pa.date32(), date(2026, 11, 21), "2026-11-21"),
        (pa.timestamp("us"), datetime(2026, 11, 21, 5), "2026-11-21T05:00:00"),
        (pa.timestamp("ms"), datetime(2026, 1, 2, 3, 4, 5, 6000), "2026-01-02T03:04:05.006"),
        (pa.timestamp("ns"), 1, "1970-01-01T00:00:00.000000001"),
        (
            pa.timestamp("us", "Europe/Berlin"),
            datetime(2026, 7, 1, 12, tzinfo=UTC),
            "2026-07-01T12:00:00Z",
        ),
        (pa.time64("us"), time(1, 2, 3), "01:02:03"),
        (pa.duration("ms"), timedelta(seconds=2), 2000),
        (pa.binary(), b"\x00\xff", "AP8="),
        (pa.binary(2), b"\x00\xff", "AP8="),
        (pa.dictionary(pa.int32(), pa.string()), "a", "a"),
        (pa.list_(pa.date32()), [date(2026, 1, 2), None], ["2026-01-02", None]),
        (
            pa.struct({"d": pa.decimal128(4, 1), "b": pa.binary()}),
            {"d": Decimal("1.5"), "b": b"a"},
            {"d": "1.5", "b": "YQ=="},
        ),
        (pa.map_(pa.string(), pa.timestamp("us")), [("k", datetime(2026, 1, 2))],
         {"k": "2026-01-02T00:00:00"}),
        (pa.map_(pa.int64(), pa.int64()), [(1, 2)], [[1, 2]]),
        (pa.list_(pa.float64()), [float("inf"), 1.0], [None, 1.0]),
    ],
)  # fmt: skip
def test_values_are_those_of_json(tmp_path: Path, kind: Any, value: Any, expected: Any) -> None:
    table = pa.table({"v": pa.array([value, None], kind)})
    file = ParquetFile(tmp_path, table)

    items = file.reader.read(file.batch())

    assert items == [{"v": expected}, {"v": None}]
    assert orjson.loads(orjson.dumps(items)) == items


def test_rows_of_some_row_groups_are_placed_by_their_number_in_the_file(tmp_path: Path) -> None:
    file = ParquetFile(tmp_path, pa.table({"n": range(25_000)}), row_group_size=12_000)
    batch = file.batch(groups=(1, 3))

    chunks = list(file.reader.chunks(batch))

    assert [row["n"] for chunk in chunks for row in chunk] == list(range(12_000, 25_000))
    assert max(map(len, chunks)) == 10_000
    assert file.reader.place_of(batch, 12_345) == RowPlace("a.parquet", 24_345)
    assert str(file.reader.place_of(batch, 0)) == "a.parquet, row 12000"
    with pytest.raises(IndexError):
        file.reader.place_of(batch, 13_000)


def test_wide_rows_come_few_at_a_time(tmp_path: Path) -> None:
    texts = [f"{number:09}" * 100_000 for number in range(40)]
    file = ParquetFile(tmp_path, pa.table({"t": texts}), use_dictionary=False)

    chunks = list(file.reader.chunks(file.batch()))

    assert sum(map(len, chunks)) == 40
    assert max(map(len, chunks)) < 12


def test_row_groups_tell_their_bytes_and_rows(tmp_path: Path) -> None:
    file = ParquetFile(tmp_path, pa.table({"n": range(25), "t": ["x"] * 25}), row_group_size=10)

    with file.path.open("rb") as stream:
        groups = read_row_groups(stream, name="a")

    assert [group.rows for group in groups] == [10, 10, 5]
    assert groups[0].start == 4
    assert all(a.end <= b.start for a, b in pairwise(groups))
    assert groups[-1].end < file.path.stat().st_size


def test_folders_give_columns_to_parquet_rows(tmp_path: Path) -> None:
    folder = tmp_path / "year=2026"
    folder.mkdir()
    file = ParquetFile(folder, pa.table({"n": [1]}))
    reader = BatchReader(Sources.local(tmp_path))

    assert reader.read(file.batch()) == [{"n": 1, "year": 2026}]


@pytest.mark.parametrize("damage", ["half", "footer", "page"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    file = ParquetFile(tmp_path, pa.table({"t": [f"text {n}" for n in range(5_000)]}))
    data = bytearray(file.path.read_bytes())
    if damage == "half":
        del data[len(data) // 2 :]
    elif damage == "footer":
        data[-60:-10] = bytes(50)
    else:
        data[4:2_000] = b"\xff" * 1_996
    file.path.write_bytes(data)

    with pytest.raises(RecordError, match=r"^a.parquet: cannot be read as Parquet: "):
        file.reader.read(file.batch())


def write_wide(path: Path, *, columns: int, row_groups: int) -> int:
    """Write rows of many columns, each a row group of its own; return the footer's length."""
    row = pa.table({f"column_{number:03}": [number] for number in range(columns)})
    with pq.ParquetWriter(path, row.schema) as writer:
        for _ in range(row_groups):
            writer.write_table(row)
    return int.from_bytes(path.read_bytes()[-8:-4], "little")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose footer is too large, really written."""
    path = tmp_path_factory.mktemp("wide") / "a.parquet"
    assert write_wide(path, columns=200, row_groups=900) > MAX_FOOTER_BYTES
    return path


def read_by_a_program(file: SourceFile, sources: Sources, _: Path) -> None:
    part = FileSlice(file.path, 0, file.size_bytes, "", DataFormat.PARQUET)
    BatchReader(sources).read(Batch(slices=(part,)))


def cut_by_a_plan(file: SourceFile, sources: Sources, _: Path) -> None:
    list(cut_files([file], LAYOUT, Basket(max_bytes=1_000_000), sources))


def looked_at_for_a_query(file: SourceFile, sources: Sources, scratch: Path) -> None:
    with duckdb.connect() as connection:
        ShapeFinder(connection, sources=sources, scratch=scratch).of_files([file], LAYOUT)


def scanned_by_a_query(file: SourceFile, sources: Sources, scratch: Path) -> None:
    part = FileSlice(file.path, 0, file.size_bytes, "", DataFormat.PARQUET)
    shape = TableShape(columns=(("column_000", "BIGINT"),))
    with duckdb.connect() as connection:
        table = InputTable(connection, sources=sources, layout=LAYOUT, shape=shape, scratch=scratch)
        with table.bound(Batch(slices=(part,))):
            pass


@pytest.mark.parametrize(
    "read", [read_by_a_program, cut_by_a_plan, looked_at_for_a_query, scanned_by_a_query]
)
def test_a_footer_that_is_too_large_is_refused_before_it_is_parsed(
    wide: Path, tmp_path: Path, read: Callable[[SourceFile, Sources, Path], None]
) -> None:
    file = SourceFile(str(wide), wide.stat().st_size)

    limit = r"^a.parquet: its Parquet footer has \d{8} bytes, the limit is 16777216; "
    with pytest.raises(RecordError, match=limit):
        read(file, Sources.local(wide.parent), tmp_path)


def test_the_footers_length_is_looked_at_and_not_what_stands_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + (MAX_FOOTER_BYTES + 1).to_bytes(4, "little") + b"PAR1")
    with path.open("rb") as stream, pytest.raises(RecordError, match="has 16777217 bytes"):
        check_footer(stream, name="a.parquet")

    path.write_bytes(b"PAR1" + MAX_FOOTER_BYTES.to_bytes(4, "little") + b"PAR1")
    with path.open("rb") as stream:
        check_footer(stream, name="a.parquet")
        assert stream.tell() == 0


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    file = ParquetFile(tmp_path, table)

    with pytest.raises(RecordError, match=r"^a.parquet: there are two columns called 'x'"):
        file.reader.read(file.batch())


def test_a_file_that_changed_is_told_apart_from_a_damaged_one(tmp_path: Path) -> None:
    file = ParquetFile(tmp_path, pa.table({"n": [1]}))
    part = FileSlice(str(file.path), 0, 1, "another", DataFormat.PARQUET)

    with pytest.raises(SourceChangedError):
        file.reader.read(Batch(slices=(part,)))
