# ruff: noqa: S608
"""Files that are broken, changed or hostile, and queries that fail on data: what callers see."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.support.client import ENDED, Api
from tests.support.killing import workers_of
from tests.support.running import RunningService, is_running
from tests.support.sql_jobs import refusal_of, rows_of, run_sql, submit_sql
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
SUM = "SELECT count(*) AS n, sum(a) AS s FROM input"
RESULT = "query Result($id: ID!) { job(id: $id) { result { rowCount } } }"


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    """A client; afterwards the workers that were there before must still run SQL."""
    workers = workers_of(service)
    async with Api(service.url) as client:
        yield client
        assert await rows_of(client, SUM, [{"a": 2}, {"a": 3}]) == [{"n": 2, "s": 5}]
    assert all(map(is_running, workers))


@pytest.fixture
def folder(service: RunningService, tmp_path: Path) -> Iterator[Path]:
    """An empty folder below the source root."""
    folder = service.sources / f"bad-{tmp_path.name}"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        path.unlink()


async def failure_of(
    service: RunningService, api: Api, sql: str, source: Any, **job: Any
) -> dict[str, Any]:
    """Run a query that must fail, and return its error.

    Looks whether there is no result, no file left, and no path of the machine in the error.
    """
    status = await run_sql(api, sql, source, **job)
    assert status["state"] == "FAILED", status
    await _nothing_is_left(service, api, status)
    error: dict[str, Any] = status["error"]
    return error


async def _nothing_is_left(service: RunningService, api: Api, status: dict[str, Any]) -> None:
    for secret in (str(service.data_dir), str(service.sources), "attempt-", "/tmp"):  # noqa: S108
        assert secret not in json.dumps(status), status
    assert status["result"] is None
    assert status["resultRows"] is None
    assert (await api.ask(RESULT, id=status["id"]))["job"]["result"] is None
    blobs = service.data_dir / "blobs" / "jobs" / str(status["id"])

    def is_tidy() -> bool:
        found = [path for path in blobs.rglob("*") if path.is_file()]
        return not [path for path in found if "runs" not in path.parts]  # where its report is

    await eventually_async(is_tidy)


def numbers(count: int, *, last: str = "") -> bytes:
    return b"a,b\n" + b"".join(b"%d,x\n" % i for i in range(count)) + last.encode()


def some_parquet(rows: int = 3_000) -> pa.Table:
    return pa.table({"a": pa.array(range(rows)), "b": ["x" * 20] * rows})


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=1_000)
    return bytes(sink.getvalue().to_pybytes())


# ------------------------------------------------------------------ files that are broken


def truncated_gzip() -> bytes:
    return gzip.compress(numbers(200_000))[:-4_000]


def truncated_zstd() -> bytes:
    return zstandard.compress(numbers(400_000))[:-200]


BROKEN = [
    ("cut.csv.gz", truncated_gzip, "INVALID_RECORD", "damaged or cut short near byte"),
    ("cut.csv.zst", truncated_zstd, "INVALID_RECORD", "damaged or cut short near byte"),
    (
        "quoting.csv",
        lambda: numbers(50_000) + b'7,"never closed\n' + b"8,y\n" * 100,
        "INVALID_RECORD",
        "uot",
    ),
    ("quoted.csv", lambda: numbers(30_000, last='7,"x"y\n8,z\n'), "INVALID_RECORD", "30002"),
    ("ragged.csv", lambda: numbers(50_000, last="1,2,3\n"), "INVALID_RECORD", "50002"),
    ("short.csv", lambda: numbers(50_000, last="1\n2,x\n"), "INVALID_RECORD", "50002"),
    ("late.csv", lambda: numbers(50_000, last="abc,x\n"), "INVALID_RECORD", "50002"),
    (
        "late.jsonl",
        lambda: b'{"a": 1}\n' * 60_000 + b'{"a": "abc"}\n',
        "INVALID_RECORD",
        "60001",
    ),
    (
        "broken.jsonl",
        lambda: b'{"a": 1}\n' * 60_000 + b'{"a": 1\n' + b'{"a": 2}\n',
        "INVALID_RECORD",
        "line 6000",
    ),
    (
        "half.parquet",
        lambda: parquet_bytes(some_parquet())[:9_000],
        "",
        "is not a readable Parquet file",
    ),
]


@pytest.mark.parametrize(
    ("name", "make", "code", "place"), BROKEN, ids=[name for name, *_ in BROKEN]
)
async def test_a_broken_file_is_told_with_its_name_and_place(
    service: RunningService,
    api: Api,
    folder: Path,
    name: str,
    make: Callable[[], bytes],
    code: str,
    place: str,
) -> None:
    (folder / name).write_bytes(make())
    source = f"{folder.name}/{name}"

    answer = await api.try_submit(sql=SUM, source={"files": {"uris": [source]}})

    if answer["__typename"] != "SubmitJobSuccess":
        assert answer["code"] == "SOURCE_UNREADABLE", answer
        assert str(service.sources) not in json.dumps(answer)
        assert source in answer["message"]
        assert place in answer["message"]
        return
    status = await api.end_of(answer["job"]["id"])
    assert status["state"] == "FAILED", status
    assert status["error"]["code"] == code, status["error"]
    assert not status["error"]["retryable"]
    assert source in status["error"]["message"]
    assert place in status["error"]["message"]
    await _nothing_is_left(service, api, status)


async def test_a_place_within_a_batch_is_one_in_the_file(
    service: RunningService, api: Api, folder: Path
) -> None:
    (folder / "late.csv").write_bytes(numbers(60_000, last="abc,x\n"))
    size = (folder / "late.csv").stat().st_size

    error = await failure_of(
        service, api, SUM, f"{folder.name}/late.csv", batching={"maxBytes": size // 3}
    )

    assert error["code"] == "INVALID_RECORD"
    assert f"{folder.name}/late.csv, bytes " in error["message"]
    assert "abc" in error["message"]


async def test_parquet_of_another_schema_is_told(
    service: RunningService, api: Api, folder: Path
) -> None:
    (folder / "1.parquet").write_bytes(parquet_bytes(some_parquet()))
    other = pa.table({"a": ["no number"] * 2_000, "c": [1] * 2_000})
    (folder / "2.parquet").write_bytes(parquet_bytes(other))
    (folder / "3.parquet").write_bytes(parquet_bytes(some_parquet()))

    for sql in (SUM, "SELECT max(b) AS b FROM input"):
        answer = await api.try_submit(
            sql=sql, source={"files": {"uris": [f"{folder.name}/*.parquet"]}}
        )

        if answer["__typename"] == "SubmitJobSuccess":
            status = await api.end_of(answer["job"]["id"])
            assert status["state"] == "FAILED", status
            assert status["error"]["code"] in ("INVALID_RECORD", "SQL_FAILED")
            assert ".parquet" in status["error"]["message"], status["error"]
            await _nothing_is_left(service, api, status)
        else:
            assert answer["__typename"] in ("ValidationError", "SourceError"), answer


async def test_a_line_of_forty_megabytes_is_refused(
    service: RunningService, api: Api, folder: Path
) -> None:
    line = b"x" * (40 * MIB)
    (folder / "long.txt").write_bytes(b"short\n" + line + b"\n")
    (folder / "long.jsonl").write_bytes(b'{"a": 1}\n{"a": "' + line + b'"}\n')
    (folder / "long.csv").write_bytes(b"a,b\n1,2\n1," + line + b"\n")

    for name, sql in (
        ("long.txt", "SELECT max(length(line)) AS s FROM input"),
        ("long.jsonl", "SELECT count(a) AS n FROM input"),
        ("long.csv", SUM),
    ):
        error = await failure_of(service, api, sql, f"{folder.name}/{name}")

        assert error["code"] == "INVALID_RECORD", error
        assert f"{folder.name}/{name}" in error["message"]
        assert f"the limit is {16 * MIB}" in error["message"]


async def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(
    service: RunningService, api: Api, folder: Path
) -> None:
    bomb = zstandard.compress((b"0" * 63 + b"\n") * (80 * MIB // 64))
    (folder / "bomb.csv.zst").write_bytes(bomb)
    assert len(bomb) < 80 * MIB // 5_000

    error = await failure_of(
        service, api, "SELECT count(*) AS n FROM input", f"{folder.name}/bomb.csv.zst"
    )

    assert error["code"] == "INVALID_RECORD"
    assert error["message"].startswith(f"{folder.name}/bomb.csv.zst: unpacks to")
    assert "1000 times" in error["message"]


async def test_text_that_is_not_unicode_is_told(
    service: RunningService, api: Api, folder: Path
) -> None:
    (folder / "latin.csv").write_bytes(numbers(50_000) + b"1,\xe4\xff\n")
    (folder / "latin.txt").write_bytes(b"fine\n" * 1_000 + b"\xe4\xff\n")
    (folder / "latin.jsonl").write_bytes(b'{"b": "x"}\n' * 40_000 + b'{"b": "\xe4\xff"}\n')

    for name, column in (("latin.csv", "b"), ("latin.txt", "line"), ("latin.jsonl", "b")):
        error = await failure_of(
            service, api, f"SELECT max({column}) AS m FROM input", f"{folder.name}/{name}"
        )

        assert error["code"] == "INVALID_RECORD", error
        assert f"{folder.name}/{name}" in error["message"]


# ------------------------------------------------------------------ files that change


@pytest.mark.parametrize("change", ["delete", "rewrite", "grow", "shorten"])
async def test_a_file_that_changes_after_it_was_planned_is_told(
    service: RunningService, api: Api, folder: Path, change: str
) -> None:
    path = folder / "data.csv"
    path.write_bytes(numbers(300_000))
    size = path.stat().st_size
    (folder / "zzz.csv").write_bytes(numbers(10))
    slow = "SELECT sum(a + length(md5(b || i))) AS s FROM input, range(200) AS r(i)"
    job = await submit_sql(
        api, slow, f"{folder.name}/*.csv", maxConcurrency=1,
        batching={"maxBytes": size // 4}, failurePolicy={"maxAttempts": 2, "backoffMs": 1},
    )  # fmt: skip

    status: dict[str, Any] = {}
    while not status or status["phase"] == "PLAN":
        status = (await api.job(job))["status"]
    if change == "delete":
        path.unlink()
    elif change == "rewrite":
        path.write_bytes(numbers(300_000).replace(b"x", b"y"))
    elif change == "grow":
        with path.open("ab") as file:
            file.write(b"1,x\n")
    else:
        os.truncate(path, size // 2)
    status = await api.end_of(job)

    assert status["state"] == "FAILED", status
    assert status["error"]["code"] in ("SOURCE_CHANGED", "SOURCE_UNREADABLE"), status["error"]
    assert f"{folder.name}/data.csv" in status["error"]["message"]
    await _nothing_is_left(service, api, status)


# ------------------------------------------------------------------ queries


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC a FROM input", ["line 1"]),
        ("SELECT a,\n  FROM FROM input", ["line 2"]),
        ("SELECT a FROM input WHERE", []),
        ("SELECT 'open FROM input", []),
        ("SELECT a\nFROM input\nWHERE amuont > 1", ["line 3, column 7", "amuont", "amount"]),
        ("SELECT sum(cty) FROM input", ["cty", "city", "line 1, column 12"]),
        ("SELECT nosuchfunction(a) FROM input", ["nosuchfunction"]),
        ("SELECT a FROM inptu", ["inptu", "input"]),
        ("SELECT city + 1 FROM input", ["line 1, column 13", "+(VARCHAR"]),
        ("SELECT city, count(*) FROM input", ["city"]),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_when_submitted(
    api: Api, sql: str, words: list[str]
) -> None:
    rows = [{"a": 1, "amount": 2.5, "city": "Oslo"}]

    issues = await refusal_of(api, sql, rows)

    assert [issue["path"] for issue in issues] == [["input", "sql"]]
    for word in words:
        assert word in issues[0]["message"], issues
    assert "/tmp" not in issues[0]["message"]  # noqa: S108


@pytest.mark.parametrize(
    ("sql", "rows", "code", "words"),
    [
        (
            "SELECT sum(a * 9223372036854775807) AS s FROM input",
            [{"a": 2}],
            "SQL_FAILED",
            ["Overflow"],
        ),
        ("SELECT a::TINYINT AS t FROM input", [{"a": 300}], "SQL_FAILED", ["300", "INT8"]),
        ("SELECT b::DATE AS d FROM input", [{"b": "soon"}], "SQL_FAILED", ["soon"]),
        ("SELECT error('own words ' || b) FROM input", [{"b": "x"}], "SQL_FAILED", ["own words x"]),
        (
            "SELECT b, sum(a) AS s FROM input GROUP BY b HAVING b::INT > 0",
            [{"a": 1, "b": "x"}],
            "SQL_FAILED",
            ["Could not convert string 'x'"],
        ),
        ("SELECT (SELECT a FROM input) AS one", [{"a": 1}, {"a": 2}], "SQL_FAILED", ["subquery"]),
    ],
    ids=["overflow", "tinyint", "date", "error", "having", "scalar"],
)
async def test_a_query_that_fails_on_the_data_says_why(
    service: RunningService, api: Api, sql: str, rows: list[Any], code: str, words: list[str]
) -> None:
    error = await failure_of(service, api, sql, rows)

    assert error["code"] == code
    assert not error["retryable"]
    for word in words:
        assert word in error["message"], error


async def test_division_by_zero_is_what_duckdb_makes_of_it(
    service: RunningService, api: Api
) -> None:
    rows = await rows_of(api, "SELECT a / 0 AS q, a + 1 AS b FROM input", [{"a": 1}])
    assert rows == [{"q": None, "b": 2}]  # infinity, which JSON has not

    error = await failure_of(service, api, "SELECT a // 0 AS q FROM input", [{"a": 1}])
    assert error["code"] == "SQL_FAILED"
    assert "Division by zero" in error["message"]


async def test_a_cast_that_fails_names_the_file_it_fails_on(
    service: RunningService, api: Api, folder: Path
) -> None:
    (folder / "words.jsonl").write_bytes(b'{"a": "1"}\n' * 1_000 + b'{"a": "one"}\n')

    error = await failure_of(
        service, api, "SELECT sum(a::INT) AS s FROM input", f"{folder.name}/words.jsonl"
    )

    assert error["code"] == "SQL_FAILED"
    assert "'one'" in error["message"]


async def test_a_job_whose_file_is_bad_says_so_in_python_too(
    service: RunningService, api: Api, folder: Path
) -> None:
    (folder / "late.csv").write_bytes(b"city,amount\n" + b"Oslo,1\n" * 30_000 + b"Rome,abc\n")

    status = await api.run(
        "columnar_totals", f"{folder.name}/late.csv", failurePolicy={"maxAttempts": 1}
    )

    assert status["state"] in ENDED
    assert status["error"]["code"] == "INVALID_RECORD", status["error"]
    assert f"{folder.name}/late.csv" in status["error"]["message"]
    assert "30002" in status["error"]["message"]
    await _nothing_is_left(service, api, status)
