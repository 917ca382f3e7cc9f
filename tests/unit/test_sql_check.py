from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.catalog import load_catalog
from engine.errors import InputError
from engine.source.sources import Sources
from engine.spec import parse_spec
from engine.sql.checker import CheckedSql, SqlCheck
from engine.sql.runtime import SqlRuntime


class Inspection:
    """A folder of sources, and the runtime that checks queries over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sources"
        scratch = folder / "scratch"
        self.folder.mkdir()
        scratch.mkdir()
        self._runtime = SqlRuntime(
            catalog=load_catalog(()),
            sources=Sources.local(self.folder),
            folders=[self.folder],
            scratch=scratch,
        )

    def check(self, sql: str, uri: str, **params: object) -> CheckedSql:
        spec = parse_spec({"sql": sql, "params": params, "source": {"files": {"uris": [uri]}}})
        return self._runtime.check(SqlCheck(spec.to_json()))


@pytest.fixture
def inspection(tmp_path: Path) -> Inspection:
    return Inspection(tmp_path)


@pytest.mark.parametrize(
    ("kind", "splits"),
    [
        (pa.int32(), True),
        (pa.decimal128(9, 3), True),
        (pa.float64(), True),
        (pa.timestamp("us"), False),
    ],
)
def test_parts_that_do_not_fit_the_columns_are_given_up_before_any_task_runs(
    inspection: Inspection, kind: pa.DataType, splits: bool
) -> None:
    table = pa.table({"k": pa.array([1], pa.int32()), "v": pa.array([None], kind)})
    pq.write_table(table, inspection.folder / "a.parquet")

    checked = inspection.check(
        "SELECT k, avg(v) FROM input WHERE k > $k GROUP BY k", "a.parquet", k=1
    )

    assert checked.has_one_reducer is not splits


def test_a_query_that_comes_again_is_split_for_the_columns_it_then_has(
    inspection: Inspection,
) -> None:
    source = inspection.folder / "a.csv"
    source.write_text("k,v\n1,2\n")
    query = "SELECT k, avg(v) FROM input GROUP BY k"
    assert not inspection.check(query, "a.csv").has_one_reducer

    source.write_text("k,v\n1,2026-01-01 00:00:00\n")
    assert inspection.check(query, "a.csv").has_one_reducer

    source.write_text("k,w\n1,2\n")
    with pytest.raises(InputError, match='"v"'):
        inspection.check(query, "a.csv")
