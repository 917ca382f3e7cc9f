"""Queries whose bad rows are set aside: those that fail, and those that cannot be read."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SqlError
from tests.support.isolating import Lab

QUERIES = {
    "map only": "SELECT k, CAST(v AS BIGINT) AS v FROM input",
    "grouped": "SELECT k, sum(CAST(v AS BIGINT)) AS v FROM input GROUP BY k ORDER BY k",
    "filtered": "SELECT k, v FROM input WHERE CAST(v AS BIGINT) % 2 = 0",
    "ordered": "SELECT k, CAST(v AS BIGINT) AS v FROM input ORDER BY v DESC, k LIMIT 5",
    "in one": "SELECT sum(CAST(v AS BIGINT)) AS v, count(*) AS n FROM input",
}

Row = dict[str, str]

ROWS = st.lists(
    st.fixed_dictionaries(
        {"k": st.sampled_from("abc"), "v": st.sampled_from(["1", "2", "30", "x", "?"])}
    ),
    min_size=1,
    max_size=25,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


def is_good(row: Row) -> bool:
    return row["v"].isdigit()


def as_set(rows: list[Any]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


@pytest.mark.parametrize("name", QUERIES)
@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_the_good_rows_count_and_exactly_the_bad_ones_are_listed(
    lab: Lab, name: str, rows: list[Row]
) -> None:
    good = [row for row in rows if is_good(row)]
    bad = [index for index, row in enumerate(rows) if not is_good(row)]

    ran = lab.run(QUERIES[name], rows, batching={"maxItems": 9})

    if good:
        clean = lab.run(QUERIES[name], good, batching={"maxItems": 9}, isolates=False)
        assert as_set(ran.rows) == as_set(clean.rows)
    assert ran.places == [f"inline[{index}]" for index in bad]
    assert [json.loads(failure.preview) for failure in ran.failures] == [rows[i] for i in bad]
    assert {failure.error.code for failure in ran.failures} <= {"SQL_FAILED"}
    assert {failure.error.task_id for failure in ran.failures} <= {"map-0", "map-1", "map-2"}
    assert ran.items == len(good)


@pytest.mark.parametrize("output", ["JSONL", "CSV", "PARQUET"])
def test_result_files_of_any_format_lack_the_bad_rows_alone(lab: Lab, output: str) -> None:
    rows = [{"k": "a", "v": "1"}, {"k": "b", "v": "x"}, {"k": "c", "v": "3"}]

    ran = lab.run(QUERIES["map only"], rows, output={"format": output})

    assert ran.places == ["inline[1]"]
    assert ran.items == 2


GOOD_CSV = b"".join(b"a,%d\n" % n for n in range(2_000))
GOOD_JSONL = b"".join(b'{"k": "a", "v": %d}\n' % n for n in range(30_000))
COUNT = "SELECT count(*) AS n, sum(v) AS v FROM input"


def test_csv_rows_that_cannot_be_read_are_set_aside(lab: Lab) -> None:
    good = b"k,v\n" + b"".join(b"a,%d\n" % n for n in range(30_000))
    bad = [b"a,many\n", b"a\n", b"a,1,2\n", b"\xff,1\n"]
    source = lab.file("bad.csv", good + b"".join(bad) + GOOD_CSV)

    ran = lab.run(COUNT, source)

    total = sum(range(30_000)) + sum(range(2_000))
    assert ran.rows == [{"n": 32_000, "v": total}]
    assert ran.items == 32_000
    starts = [len(good), len(good) + 7, len(good) + 9, len(good) + 15]
    assert ran.places == [f"bad.csv, byte {start}" for start in starts]
    assert [failure.preview for failure in ran.failures] == ["a,many", "a", "a,1,2", "\ufffd,1"]
    assert {failure.error.code for failure in ran.failures} == {"INVALID_RECORD"}
    for failure in ran.failures:
        assert str(lab.sources_folder) not in failure.error.message
        assert "probe" not in failure.error.message, failure.error.message


def test_json_lines_that_cannot_be_read_are_set_aside_also_in_an_archive(lab: Lab) -> None:
    bad = b'not json\n{"k": "a", "v": "many"}\n'
    source = lab.file("bad.jsonl.gz", gzip.compress(GOOD_JSONL + bad + GOOD_JSONL))

    ran = lab.run(COUNT, source)

    assert ran.rows == [{"n": 60_000, "v": 2 * sum(range(30_000))}]
    starts = [len(GOOD_JSONL), len(GOOD_JSONL) + 9]
    assert ran.places == [f"bad.jsonl.gz, byte {start}" for start in starts]
    assert ran.failures[0].preview == "not json"


def test_lines_that_are_not_utf8_are_set_aside(lab: Lab) -> None:
    source = lab.file("bad.txt", b"one\nt\xffo\nthree\n")

    ran = lab.run("SELECT line FROM input", source)

    assert ran.rows == [{"line": "one"}, {"line": "three"}]
    assert ran.places == ["bad.txt, byte 4"]
    assert ran.items == 2


def test_what_comes_before_a_record_that_is_too_long_counts(lab: Lab) -> None:
    source = lab.file("long.txt", b"one\n" + b"x" * (21 * 2**20) + b"\nthree\n")

    ran = lab.run("SELECT line FROM input", source, batching={"maxBytes": 2**26})

    assert ran.rows == [{"line": "one"}]
    assert ran.places == ["long.txt"]
    assert "the limit is 16777216" in ran.failures[0].error.message


def test_rows_that_fail_are_numbered_as_in_their_file(lab: Lab) -> None:
    lines = [b'{"k": "a", "v": "%s"}\n' % v for v in (b"1", b"2", b"x", b"4", b"?")]
    lines.insert(1, b"no object\n")
    source = lab.file("rows.jsonl", b"".join(lines))

    ran = lab.run(QUERIES["map only"], source)

    assert [row["v"] for row in ran.rows] == [1, 2, 4]
    assert ran.places == ["rows.jsonl, byte 21", "rows.jsonl, row 3", "rows.jsonl, row 5"]


def test_rows_of_a_part_of_a_file_are_numbered_within_it(lab: Lab) -> None:
    source = lab.file("parts.csv", b"k,v\n" + b"a,1\n" * 10 + b"a,x\n" + b"a,1\n" * 10)

    ran = lab.run(QUERIES["map only"], source, batching={"maxBytes": 32})

    assert len(ran.rows) == 20
    (place,) = ran.places
    name, _, part = place.partition(", row ")
    row, _, start = part.partition(" of bytes ")
    assert name == "parts.csv"
    assert int(start.partition(" ")[0]) + 4 * int(row) == 44


def test_rows_of_parquet_are_set_aside_and_a_broken_file_as_a_whole(
    lab: Lab, tmp_path: Path
) -> None:
    folder = lab.sources_folder / "parquet"
    folder.mkdir()
    table = pa.table({"k": ["a"] * 5, "v": ["1", "x", "3", "4", "5"]})
    pq.write_table(table, folder / "1.parquet", row_group_size=2)
    pq.write_table(table, folder / "2.parquet")
    damaged = bytearray((folder / "2.parquet").read_bytes())
    damaged[4:40] = b"\xff" * 36
    (folder / "2.parquet").write_bytes(damaged)

    ran = lab.run(QUERIES["map only"], {"files": {"uris": ["parquet/*.parquet"]}})

    assert [row["v"] for row in ran.rows] == [1, 3, 4, 5]
    assert sorted(ran.places) == ["parquet/1.parquet, row 1", "parquet/2.parquet"]


def test_a_batch_with_more_bad_rows_than_anybody_wants_fails_as_a_whole(lab: Lab) -> None:
    rows = [{"k": "a", "v": "x"} for _ in range(50)]
    policy = {"badItems": "SKIP", "toleratedFailureCount": 3}

    with pytest.raises(SqlError, match="Could not convert"):
        lab.run(QUERIES["map only"], rows, failurePolicy=policy)


def test_rows_that_fail_only_together_fail_the_batch(lab: Lab) -> None:
    rows = [{"k": "a", "v": str(2**62)} for _ in range(4)]
    query = "SELECT k, sum(CAST(v AS BIGINT))::BIGINT + 0 AS v FROM input GROUP BY k"

    ran = lab.run("SELECT k, CAST(v AS BIGINT) AS v FROM input", rows)

    assert ran.failures == ()
    with pytest.raises(SqlError):
        lab.run(query, rows)
