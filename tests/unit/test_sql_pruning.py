"""Folders of which a query can want nothing: left out, and never one too many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan import plan_batches
from engine.source.roots import SourceRoots
from engine.source.sources import Sources
from engine.spec import parse_spec
from engine.sql.job import Columns, SqlJob, TableShape
from engine.sql.pruning import FolderChoice, folder_filter
from engine.sql.sandbox import open_sandbox
from engine.sql.split.steps import SqlSteps

COLUMNS = (("year", "BIGINT"), ("month", "BIGINT"), ("kind", "VARCHAR"))
CONDITIONS = [
    "year = 2026",
    "year >= 2026 AND month IN (1, 2)",
    "year = 2026 OR month = 3",
    "month BETWEEN 2 AND 3 AND v > 1",
    "kind = 'b' AND year < 2026",
    "kind IS NULL",
    "NOT (year = 2026 AND kind = 'a')",
    "YEAR = 2026 AND input.Month = 1",
]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_sandbox(folders=[], scratch=tmp_path_factory.mktemp("scratch")) as opened:
        yield opened


def choice_of(
    connection: duckdb.DuckDBPyConnection,
    condition: str,
    *,
    columns: Columns = COLUMNS,
    sources: Sources | None = None,
) -> FolderChoice:
    names = [name for name, _ in columns]
    text = f"SELECT count(*) FROM input WHERE {condition}"  # noqa: S608
    job = SqlJob(
        steps=SqlSteps(map=text, partition_by=(), reduce=None, finish=None),
        shape=TableShape(columns=(("v", "BIGINT"),), folder_columns=columns),
        folder_filter=folder_filter(text, names),
    )
    return FolderChoice(connection, sources=sources or Sources({}), job=job)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM input WHERE year = 1 AND v = 2", '(("year" = 1))'),
        ("FROM input AS t WHERE t.year = 1", '(("year" = 1))'),
        ("FROM Input WHERE input.Year = 1", '(("Year" = 1))'),
        ("SELECT year + 1 AS year FROM input WHERE year = 1 GROUP BY ALL", '(("year" = 1))'),
        ("FROM input AS t WHERE s.year = 1", None),
        ("FROM input AS t(year, v) WHERE year = 1", None),
        ("FROM input TABLESAMPLE 10 ROWS WHERE year = 1", None),
        ("SELECT * FROM input WHERE year = 1 USING SAMPLE 10 ROWS", None),
        ("SELECT (SELECT count(*) FROM input) AS n FROM input WHERE year = 1", None),
        ("FROM input WHERE year = 1 AND v > (SELECT avg(v) FROM input)", None),
        ("WITH x AS (SELECT year + 1 AS year FROM input) FROM x WHERE year = 1", None),
        ("WITH x AS (SELECT max(v) FROM input) FROM input WHERE year = 1", None),
        ("FROM input AS a, input AS b WHERE a.year = 1", None),
        ("FROM input WHERE year = $year", None),
        ("FROM input WHERE year = random()", None),
    ],
)
def test_a_condition_is_taken_only_if_it_decides_over_all_that_the_query_sees(
    text: str, wanted: str | None
) -> None:
    found = folder_filter(text, ["year"])

    assert (found or "").casefold() == (wanted or "").casefold()


def test_a_folder_is_left_out_as_soon_as_its_name_tells(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    choice = choice_of(connection, "year = 2026 AND month > 1 AND v = 3")

    outer = choice.folders(["in/", "in/year=2025/", "in/year=2026/", "in/month=1/"])
    inner = choice.folders(["in/year=2026/month=1/", "in/year=2026/month=2/"])

    assert list(outer) == ["in/", "in/year=2026/"]
    assert list(inner) == ["in/year=2026/month=2/"]
    assert choice.is_open("in/year=2026/")
    assert not choice.is_open("in/year=2026/month=2/")


@pytest.mark.parametrize(
    "name", ["year=x/", "year=__HIVE_DEFAULT_PARTITION__/year=2026/", "a=2025/", "\udcff=1/"]
)
def test_a_name_that_does_not_fit_its_column_is_left_to_the_query(
    connection: duckdb.DuckDBPyConnection, name: str
) -> None:
    choice = choice_of(connection, "year = 2026")

    wanted = [] if "DEFAULT" in name else [name]
    assert list(choice.folders([name])) == wanted


@pytest.mark.parametrize("condition", CONDITIONS)
@given(names=st.lists(st.tuples(st.sampled_from([2025, 2026, "__HIVE_DEFAULT_PARTITION__"]),
                                st.integers(1, 4), st.sampled_from("ab")), max_size=8))  # fmt: skip
def test_files_below_chosen_folders_are_those_that_filtering_leaves(
    connection: duckdb.DuckDBPyConnection,
    condition: str,
    names: list[tuple[int | str, int, str]],
) -> None:
    choice = choice_of(connection, condition)

    for year, month, kind in names:
        folders = ["", f"year={year}/", f"month={month}/", f"kind={kind}/"]
        paths = ["".join(folders[: depth + 1]) for depth in range(1, 4)]
        is_reached = all(choice.folders([path]) for path in paths)

        by_columns = {"year": year, "month": month, "kind": kind}
        values = ", ".join(
            f"NULL AS {name}" if "DEFAULT" in str(value) else f"'{value}'::{of_type} AS {name}"
            for (name, value), (_, of_type) in zip(by_columns.items(), COLUMNS, strict=True)
        )
        plain = f"SELECT 1 FROM (SELECT {values}, 5 AS v) AS input WHERE {condition}"  # noqa: S608
        if connection.sql(plain).fetchall():
            assert is_reached, (condition, paths[-1])
        elif "v >" not in condition:
            assert not is_reached, (condition, paths[-1])


def test_a_folder_that_is_left_out_is_not_even_entered(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for year in (2024, 2025, 2026):
        for month in (1, 2):
            folder = root / "data" / f"year={year}" / f"month={month}"
            folder.mkdir(parents=True)
            (folder / "a.csv").write_text("v\n1\n")
    (root / "data" / "year=2025" / "b.csv").symlink_to("/etc/passwd")
    sources = Sources({"": SourceRoots((root,))})
    choice = choice_of(connection, "year <> 2025 AND month = 2", sources=sources)
    job = parse_spec({"sql": "FROM input", "source": {"files": {"uris": ["data/**/*.csv"]}}})

    batches = list(plan_batches(job, sources, choice=choice))

    found = [sources.name_of(part.path) for batch in batches for part in batch.slices]
    assert found == ["data/year=2024/month=2/a.csv", "data/year=2026/month=2/a.csv"]


def test_nothing_wanted_is_no_error_but_nothing_there_is(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for root, year in (("one", 2025), ("two", 2026)):
        (tmp_path / root / f"year={year}").mkdir(parents=True)
        (tmp_path / root / f"year={year}" / "a.csv").write_text("v\n1\n")
    sources = Sources({"": SourceRoots((tmp_path / "one", tmp_path / "two"))})
    choice = choice_of(connection, "year = 2026", sources=sources)

    assert list(sources.list_files(["year=*/"], choice=choice)) == []
    found = list(sources.list_files(["year=2026/"], choice=choice))
    assert [sources.name_of(file.path) for file in found] == ["year=2026/a.csv"]
    with pytest.raises(Exception, match="matches no file"):
        list(sources.list_files(["year=*/*.txt"], choice=choice))
