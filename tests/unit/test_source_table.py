"""Batches as Arrow tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from engine.batch import Batch
from engine.errors import RecordError
from engine.source.basket import Basket
from engine.source.cut import cut_files
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import FilesSpec


def table_of(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    sources, spec = Sources.local(root), FilesSpec(uris=(".",))
    files = sources.list_files(spec.uris)
    batches = list(cut_files(files, spec, Basket(max_bytes=2**30), sources))
    slices = tuple(part for batch in batches for part in batch.slices)
    reader = BatchReader(sources, spec)
    return reader.table(Batch(slices=slices), tmp_path_factory.mktemp("scratch"))


def test_csv_columns_are_text(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text('x,y\n"a"b,\n')

    table = table_of(tmp_path, tmp_path_factory)

    assert table.schema == pa.schema({"x": pa.string(), "y": pa.string()})
    assert table.to_pylist() == [{"x": "1", "y": "2"}, {"x": "ab", "y": ""}]


def test_parquet_columns_keep_their_types_and_folders_add_theirs(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path / "day=7"
    folder.mkdir()
    rows = pa.table({"t": pa.array([1, 2], pa.timestamp("ms")), "n": pa.array([1, 2], pa.int16())})
    pq.write_table(rows, folder / "a.parquet")

    table = table_of(tmp_path, tmp_path_factory)

    assert table == rows.append_column("day", pa.array([7, 7]))


def test_a_column_that_a_file_lacks_is_null_there_and_numbers_become_fractional(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"b": "x"}\n')
    (tmp_path / "b.json").write_text('[{"a": 1.5}]')

    table = table_of(tmp_path, tmp_path_factory)

    assert table.to_pylist() == [
        {"a": 1.0, "b": None}, {"a": None, "b": "x"}, {"a": 1.5, "b": None},
    ]  # fmt: skip


def test_lines_are_a_column(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = [f"line {number}" for number in range(300_000)]
    (tmp_path / "a.txt").write_text("\n".join(lines))

    assert table_of(tmp_path, tmp_path_factory).to_pydict() == {"line": lines}


def test_inline_items_are_a_table_too(tmp_path: Path) -> None:
    reader = BatchReader(Sources.local())

    assert reader.table(Batch(items=("a", "b")), tmp_path).to_pydict() == {"line": ["a", "b"]}
    assert reader.table(Batch(items=({"n": 1},)), tmp_path).to_pydict() == {"n": [1]}
    assert reader.table(Batch(), tmp_path).num_rows == 0


@pytest.mark.parametrize("lines", ['{"a": 1}\n{"a": "x"}\n', '{"a": 1}\n5\n'])
def test_what_fits_no_table_is_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, lines: str
) -> None:
    (tmp_path / "a.jsonl").write_text(lines)

    with pytest.raises(RecordError, match=r"a\.jsonl: cannot be made a table"):
        table_of(tmp_path, tmp_path_factory)


def test_files_whose_columns_do_not_go_together_are_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "b.jsonl").write_text('{"a": "x"}\n')

    with pytest.raises(RecordError, match="cannot be made one table"):
        table_of(tmp_path, tmp_path_factory)
