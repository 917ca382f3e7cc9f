# ruff: noqa: S608
"""Jobs in SQL on a running service: every kind of source, compared with plain DuckDB."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.support.client import Api
from tests.support.running import RunningService, free_port, running_service
from tests.support.sql_jobs import (
    PLAN,
    RESULT,
    plain,
    read_pages,
    refusal_of,
    rows_of,
    run_sql,
    submit_sql,
    unordered,
)

pytestmark = pytest.mark.anyio

CITIES = ("Oslo", "Rome", "Bonn", "Kyiv", "Lima")
ROWS = 4_000
GROUPED = (
    "SELECT city, count(*) AS n, sum(amount) AS total, avg(amount) AS mean, min(day) AS first, "
    "max(name) AS last FROM input GROUP BY city"
)
MANY_GROUPS = "SELECT id % 250 AS k, city, sum(id) AS s, count(DISTINCT name) AS names, "
MANY_GROUPS += "max(day) - min(day) AS days FROM input GROUP BY ALL HAVING count(*) > 1"


@pytest.fixture(scope="module")
def data(service: RunningService) -> Path:
    """The same rows in every format, below the source root."""
    folder = service.sources / "sql"
    folder.mkdir()
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE t AS SELECT i AS id, ['Oslo','Rome','Bonn','Kyiv','Lima'][1 + i % 5] AS "
            "city, round(i * 0.37 % 97, 2)::DOUBLE AS amount, "
            "DATE '2026-01-01' + (i % 300)::INTEGER AS day, "
            "CASE WHEN i % 11 = 0 THEN NULL WHEN i % 7 = 0 THEN 'a, \"b\"' ELSE 'n' || i % 40 "
            f"END AS name, i % 3 = 0 AS paid FROM range({ROWS}) r(i)"
        )
        con.execute(f"COPY t TO '{folder}/rows.csv'")
        con.execute(f"COPY t TO '{folder}/semi.csv' (DELIMITER ';')")
        con.execute(f"COPY t TO '{folder}/headless.csv' (HEADER false)")
        con.execute(f"COPY t TO '{folder}/rows.jsonl' (FORMAT json)")
        con.execute(f"COPY t TO '{folder}/rows.parquet' (ROW_GROUP_SIZE 2048)")
        con.execute(f"COPY t TO '{folder}/hive' (FORMAT csv, PARTITION_BY (city, paid))")
        con.execute(f"COPY (FROM t WHERE id < 100) TO '{folder}/some.json' (FORMAT json, ARRAY)")
        con.execute(f"COPY (FROM t LIMIT 2000) TO '{folder}/order_a.csv'")
        con.execute(
            f"COPY (SELECT paid, name, day, amount, city, id FROM t OFFSET 2000) "
            f"TO '{folder}/order_b.csv'"
        )
    items = json.loads((folder / "some.json").read_text())
    (folder / "nested.json").write_text(json.dumps({"meta": 1, "data": {"items": items}}))
    for name in ("rows.csv", "rows.jsonl"):
        content = (folder / name).read_bytes()
        half = content.index(b"\n", len(content) // 2) + 1
        members = gzip.compress(content[:half]) + gzip.compress(content[half:])
        (folder / f"{name}.gz").write_bytes(members)
        (folder / f"{name}.zst").write_bytes(zstandard.compress(content))
        (folder / f"{name}.bz2").write_bytes(bz2.compress(content))
    return folder


def files(*uris: str, **more: Any) -> dict[str, Any]:
    return {"files": {"uris": list(uris), **more}}


def csv(data: Path, name: str = "rows.csv") -> str:
    return f"(SELECT * FROM read_csv('{data}/{name}'))"


def download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def over(sql: str, table: str) -> str:
    """Return *sql* over another table than input."""
    return sql.replace("FROM input", f"FROM {table}")


# ------------------------------------------------------------------ sources


@pytest.mark.parametrize("batching", [{}, {"maxBytes": 30_000}])
@pytest.mark.parametrize(
    "source",
    [
        files("sql/rows.csv"),
        files("sql/semi.csv", csv={"delimiter": ";"}),
        files(
            "sql/headless.csv",
            csv={"header": False, "columns": ["id", "city", "amount", "day", "name", "paid"]},
        ),
        files("sql/order_*.csv"),
        files("sql/rows.jsonl"),
        files("sql/rows.parquet"),
        files("sql/rows.csv.gz"),
        files("sql/rows.csv.zst"),
        files("sql/rows.csv.bz2"),
        files("sql/rows.jsonl.gz"),
        files("sql/rows.jsonl.zst"),
        files("sql/rows.jsonl.bz2"),
        files("sql/hive/"),
    ],
    ids=lambda source: source["files"]["uris"][0].removeprefix("sql/") if source else None,
)
async def test_every_format_gives_what_plain_duckdb_gives(
    api: Api, data: Path, source: dict[str, Any], batching: dict[str, Any]
) -> None:
    for sql in (GROUPED, "SELECT * FROM input WHERE id % 97 = 5"):
        rows = await rows_of(api, sql, source, batching=batching)

        if "hive" in source["files"]["uris"][0]:
            # A folder's name is text unless it is a number.
            wanted = plain(over(sql, csv(data)))
            for row in wanted:
                if "paid" in row:
                    row["paid"] = str(row["paid"]).lower()
            assert unordered(rows) == unordered(wanted)
        else:
            assert unordered(rows) == unordered(plain(over(sql, csv(data))))


async def test_a_batch_of_some_row_groups_reads_only_these(api: Api, data: Path) -> None:
    assert pq.read_metadata(data / "rows.parquet").num_row_groups == 2
    job = await submit_sql(api, GROUPED, "sql/rows.parquet", batching={"maxBytes": 1})
    status = await api.end_of(job)

    assert unordered(status["result"]) == unordered(plain(over(GROUPED, csv(data))))
    assert sorted(task["items"] for task in await api.tasks(job, "MAP")) == [1952, 2048]
    assert status["items"]["total"] == ROWS


async def test_rows_keep_the_types_of_their_columns(api: Api, data: Path) -> None:
    sql = "SELECT typeof(id) AS id, typeof(city) AS city, typeof(amount) AS amount, "
    sql += "typeof(day) AS day, typeof(paid) AS paid FROM input LIMIT 1"

    for name in ("rows.csv", "rows.parquet", "rows.jsonl.gz", "semi.csv"):
        more = {"csv": {"delimiter": ";"}} if name == "semi.csv" else {}
        rows = await rows_of(api, sql, files(f"sql/{name}", **more))

        wanted = {"id": "BIGINT", "city": "VARCHAR", "day": "DATE", "paid": "BOOLEAN"}
        assert rows == [wanted | {"amount": "DOUBLE"}], name


async def test_line_breaks_within_quotes_belong_to_their_field(api: Api, data: Path) -> None:
    text = "id,note\r\n" + "".join(f'{i},"first {i}\nsecond, ""{i}"""\r\n' for i in range(300))
    (data / "breaks.csv").write_bytes(text.encode())

    rows = await rows_of(
        api,
        "SELECT id, note FROM input WHERE id IN (0, 150, 299) ORDER BY id",
        "sql/breaks.csv",
        batching={"maxBytes": 1_000},
    )

    assert rows == [{"id": i, "note": f'first {i}\nsecond, "{i}"'} for i in (0, 150, 299)]
    assert (await rows_of(api, "SELECT count(*) n FROM input", "sql/breaks.csv")) == [{"n": 300}]


@pytest.mark.parametrize("batching", [{}, {"maxBytes": 1_000}, {"maxItems": 70}])
async def test_the_lines_of_a_csv_file_may_end_in_several_ways(
    api: Api, data: Path, batching: dict[str, Any]
) -> None:
    ends = ("\n", "\r\n", "\r\n", "\n", "\n")
    lines = [f'{i},"first {i}\r\nsecond"{ends[i % 5]}' for i in range(300)]
    (data / "ends.csv").write_bytes(("id,note\r\n" + "".join(lines)).encode())
    wanted = {"n": 300, "s": 44_850, "shortest": 15, "longest": 17}

    rows = await rows_of(
        api,
        "SELECT count(*) AS n, sum(id) AS s, min(length(note)) AS shortest, "
        "max(length(note)) AS longest FROM input",
        "sql/ends.csv",
        batching=batching,
    )

    assert rows == [wanted]


@pytest.mark.parametrize("pointer", [None, "/data/items"])
async def test_a_json_document_is_a_table_of_its_items(
    api: Api, data: Path, pointer: str | None
) -> None:
    source = files("sql/nested.json", itemsPointer=pointer) if pointer else files("sql/some.json")

    rows = await rows_of(api, GROUPED, source, batching={"maxItems": 40})

    wanted = over(GROUPED, f"(FROM read_json('{data}/some.json'))")
    assert unordered(rows) == unordered(plain(wanted))


async def test_a_text_is_a_table_of_lines(api: Api, data: Path) -> None:
    (data / "notes.txt").write_bytes("ähre\nb b\r\n\nlast".encode())

    rows = await rows_of(
        api,
        "SELECT line, length(line) AS size FROM input ORDER BY line",
        "sql/notes.txt",
        batching={"maxItems": 2},
    )

    assert rows == [
        {"line": "", "size": 0},
        {"line": "b b", "size": 3},
        {"line": "last", "size": 4},
        {"line": "ähre", "size": 4},
    ]


async def test_folders_are_columns(api: Api, data: Path) -> None:
    for month in (9, 10):
        folder = data / "dated" / "year=2026" / f"month={month}" / "kind=a%20b"
        folder.mkdir(parents=True)
        (folder / "part.jsonl").write_text("".join(f'{{"v": {i}}}\n' for i in range(month)))

    rows = await rows_of(
        api,
        "SELECT year + 1 AS next, month, kind, sum(v) AS total FROM input "
        "WHERE month > 8 GROUP BY ALL ORDER BY month",
        "sql/dated/**",
    )

    assert rows == [
        {"next": 2027, "month": 9, "kind": "a b", "total": 36},
        {"next": 2027, "month": 10, "kind": "a b", "total": 45},
    ]


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT month, sum(v) AS s FROM input AS t WHERE t.month = 2 GROUP BY 1", {"s": 3}),
        ("SELECT month, (SELECT sum(v) FROM input) AS s FROM input WHERE month = 2", {"s": 10}),
        (
            "WITH next AS (SELECT month + 1 AS month, v FROM input) "
            "SELECT month, sum(v) AS s FROM next WHERE month = 2 GROUP BY 1",
            {"s": 1},
        ),
    ],
)
async def test_a_folder_is_left_out_only_where_nothing_else_wants_it(
    api: Api, data: Path, sql: str, wanted: dict[str, Any]
) -> None:
    for month in (1, 2, 3, 4):
        folder = data / "once" / f"month={month}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part.jsonl").write_text(json.dumps({"v": [1, 3, 2, 4][month - 1]}))

    assert await rows_of(api, sql, "sql/once/**") == [{"month": 2, **wanted}]


async def test_items_of_the_request_are_rows_or_lines(api: Api) -> None:
    objects = [
        {"a": i, "b": {"c": [i, None]}, "late": 1.5} if i > 2 else {"a": i} for i in range(5)
    ]
    assert await rows_of(
        api, "SELECT a, b.c[1] AS c, late FROM input ORDER BY a DESC LIMIT 3", objects
    ) == [{"a": 4, "c": 4, "late": 1.5}, {"a": 3, "c": 3, "late": 1.5},
          {"a": 2, "c": None, "late": None}]  # fmt: skip

    words = "SELECT word, count(*) AS n FROM (SELECT unnest(string_split(line, ' ')) AS word "
    words += "FROM input) GROUP BY word ORDER BY n DESC, word"
    assert await rows_of(api, words, ["b a b", "a b"], batching={"maxItems": 1}) == [
        {"word": "b", "n": 3},
        {"word": "a", "n": 2},
    ]


async def test_a_listing_is_a_table_of_objects(api: Api, data: Path) -> None:
    rows = await rows_of(
        api,
        "SELECT uri, size, lastModified > '2020' AS recent FROM input ORDER BY uri",
        files("sql/order_*.csv", mode="OBJECTS"),
    )

    assert rows == [
        {"uri": f"sql/{name}", "size": (data / name).stat().st_size, "recent": True}
        for name in ("order_a.csv", "order_b.csv")
    ]


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT count(*) AS n, max(a) AS m FROM input", [{"n": 0, "m": None}]),
        ("SELECT a, count(*) AS n FROM input GROUP BY a", []),
        ("SELECT a FROM input ORDER BY a LIMIT 3", []),
    ],
)
async def test_an_empty_source_gives_what_an_empty_table_gives(
    api: Api, data: Path, sql: str, wanted: list[Any]
) -> None:
    (data / "no_rows.csv").write_text("a,b\n")

    assert await rows_of(api, sql, "sql/no_rows.csv") == wanted


async def test_a_file_without_a_byte_and_no_items_are_empty_tables(api: Api, data: Path) -> None:
    (data / "nothing.txt").write_bytes(b"")

    assert await rows_of(api, "SELECT count(*) AS n FROM input", "sql/nothing.txt") == [{"n": 0}]
    assert await rows_of(api, "SELECT count(*) AS n FROM input", []) == [{"n": 0}]


# ------------------------------------------------------------------ splitting


@pytest.mark.parametrize("reducers", [1, 5])
@pytest.mark.parametrize("batching", [{}, {"maxBytes": 20_000}, {"maxItems": 700}])
@pytest.mark.parametrize(
    "sql",
    [
        MANY_GROUPS,
        "SELECT DISTINCT city, paid FROM input",
        "SELECT city, median(amount) AS m, quantile_cont(id, 0.9) AS q FROM input GROUP BY city",
        "SELECT id, row_number() OVER (PARTITION BY city ORDER BY amount, id) AS r FROM input "
        "QUALIFY r <= 3",
        "SELECT city FROM input WHERE id < 50 EXCEPT SELECT city FROM input WHERE id % 5 = 2",
    ],
    ids=["groups", "distinct", "quantiles", "windows", "except"],
)
async def test_the_number_of_tasks_changes_no_row(
    api: Api, data: Path, sql: str, batching: dict[str, Any], reducers: int
) -> None:
    status = await run_sql(api, sql, "sql/rows.csv", batching=batching, reducers=reducers)

    assert status["state"] == "SUCCEEDED", status["error"]
    assert unordered(status["result"]) == unordered(plain(over(sql, csv(data))))
    assert (status["map"]["total"] > 1) == bool(batching)


@pytest.mark.parametrize("reducers", [1, 5])
async def test_ordered_rows_come_in_order(api: Api, data: Path, reducers: int) -> None:
    for sql in (
        "SELECT id, amount FROM input ORDER BY amount DESC, id LIMIT 17 OFFSET 3",
        f"{MANY_GROUPS} ORDER BY s DESC, k, city LIMIT 40",
        "SELECT id FROM input WHERE id < 500 ORDER BY name NULLS FIRST, id DESC",
    ):
        rows = await rows_of(
            api, sql, "sql/rows.csv", reducers=reducers, batching={"maxBytes": 25_000}
        )

        assert [json.dumps(row, sort_keys=True) for row in rows] == [
            json.dumps(row, sort_keys=True) for row in plain(over(sql, csv(data)))
        ]


async def test_a_plan_shows_the_three_steps(api: Api, data: Path) -> None:
    sql = "SELECT city, avg(amount) AS mean FROM input WHERE paid GROUP BY city "
    sql += "ORDER BY mean DESC LIMIT 3"
    source = files("sql/rows.csv")
    job: dict[str, Any] = {"batching": {"maxBytes": 60_000}, "reducers": 3}

    plan = (await api.ask(PLAN, input={"sql": sql, "source": source, **job}))["planJob"]
    status = await run_sql(api, sql, source, **job)

    assert plan["__typename"] == "JobPlan", plan
    assert plan["bytes"] == (data / "rows.csv").stat().st_size
    assert plan["mapTasks"] == status["map"]["total"] == 3
    assert plan["reduceTasks"] == status["reduce"]["total"] == 3
    for step, words in (
        ("mapStep", ["paid", "GROUP BY"]),
        ("reduceStep", ["GROUP BY"]),
        ("finishStep", ["ORDER BY", "LIMIT"]),
    ):
        assert all(word in plan[step] for word in words), plan
    assert "paid" not in plan["reduceStep"]


# ------------------------------------------------------------------ parameters


async def test_parameters_are_bound_by_name_and_never_read_as_sql(api: Api, data: Path) -> None:
    sql = "SELECT id, $text AS text FROM input WHERE city = $city AND id < $below "
    sql += "AND list_contains($cities, city) ORDER BY id LIMIT $first"
    params = {
        "city": "Rome",
        "below": 60,
        "first": 2,
        "cities": ["Rome", "Oslo"],
        "text": "x'; DROP TABLE input --",
    }

    rows = await rows_of(
        api, sql, "sql/rows.csv", params=params, batching={"maxBytes": 50_000}, reducers=2
    )

    assert rows == [{"id": i, "text": params["text"]} for i in (1, 6)]
    assert rows == plain(over(sql, csv(data)), **params)


async def test_missing_and_unknown_parameters_are_told_together(api: Api, data: Path) -> None:
    issues = await refusal_of(
        api,
        "SELECT * FROM input WHERE id > $low AND id < $high",
        "sql/rows.csv",
        params={"low": 1, "hihg": 2, "colour": None},
    )

    assert {tuple(issue["path"]) for issue in issues} == {
        ("input", "params", "high"),
        ("input", "params", "hihg"),
        ("input", "params", "colour"),
    }


# ------------------------------------------------------------------ results


@pytest.mark.parametrize("format_", ["JSONL", "CSV", "PARQUET"])
async def test_a_result_has_the_same_rows_in_every_format(
    api: Api, data: Path, format_: str
) -> None:
    sql = "SELECT id, city, amount, day, name, paid, [id, NULL] AS pair FROM input ORDER BY id"
    job = await submit_sql(
        api, sql, "sql/rows.csv", output={"format": format_}, batching={"maxBytes": 60_000}
    )
    status = await api.end_of(job)
    assert status["state"] == "SUCCEEDED", status["error"]

    paged = await read_pages(api, job, first=190)
    described = (await api.ask(RESULT, id=job, first=1))["job"]["result"]

    wanted = plain(over(sql, csv(data)))
    assert paged == wanted
    assert described["rowCount"] == ROWS
    assert [column["type"] for column in described["columns"]] == [
        "integer", "string", "number", "date", "string", "boolean", "array",
    ]  # fmt: skip
    assert [file["name"].rpartition(".")[2] for file in described["files"]] == [format_.lower()]


@pytest.mark.parametrize("format_", ["JSONL", "CSV", "PARQUET"])
async def test_the_files_of_a_result_are_read_by_duckdb(
    api: Api, data: Path, tmp_path: Path, format_: str
) -> None:
    job = await submit_sql(
        api, GROUPED, "sql/rows.csv", output={"format": format_}, batching={"maxBytes": 60_000},
        reducers=3,
    )  # fmt: skip
    assert (await api.end_of(job))["state"] == "SUCCEEDED"

    described = (await api.ask(RESULT, id=job, first=1))["job"]["result"]
    for index, file in enumerate(described["files"]):
        content = await asyncio.to_thread(download, file["url"])
        assert len(content) == file["byteSize"]
        (tmp_path / f"{index}.{format_.lower()}").write_bytes(content)

    reader = {"JSONL": "read_json", "CSV": "read_csv", "PARQUET": "read_parquet"}[format_]
    found = plain(f"SELECT * FROM {reader}('{tmp_path}/*.{format_.lower()}')")
    assert unordered(found) == unordered(plain(over(GROUPED, csv(data))))


# ------------------------------------------------------------------ programs


async def test_a_program_in_sql_takes_parameters_of_its_model(api: Api, data: Path) -> None:
    assert [row["city"] for row in (await api.run("sales_above", "sql/rows.csv"))["result"]] == [
        "Bonn",
        "Oslo",
        "Rome",
    ]
    params = {"least": 90, "cities": ["Rome"]}
    status = await api.run("sales_above", "sql/rows.csv", params=params, reducers=2)
    assert status["result"] == plain(
        f"SELECT city, count(*) AS sales, sum(amount) AS total FROM {csv(data)} "
        "WHERE amount >= 90 AND city = 'Rome' GROUP BY city"
    )

    refused = await api.try_submit(
        program="sales_above", source=files("sql/rows.csv"), params={"least": -1, "town": 1}
    )
    assert {tuple(issue["path"]) for issue in refused["issues"]} == {
        ("input", "params", "least"),
        ("input", "params", "town"),
    }


async def test_a_program_may_give_the_steps_itself(api: Api, data: Path) -> None:
    status = await api.run(
        "sales_in_steps", "sql/rows.csv", reducers=3, batching={"maxBytes": 30_000}
    )
    wanted = f"SELECT city, sum(amount) AS total, count(*) AS sales FROM {csv(data)} GROUP BY city "
    wanted += "ORDER BY total DESC LIMIT 2"
    assert status["state"] == "SUCCEEDED", status["error"]
    assert unordered(status["result"]) == unordered(plain(wanted))
    assert status["reduce"]["total"] == 3

    mapped = await api.run("sql_rows_only", files("sql/order_*.csv"))
    assert mapped["resultRows"] == ROWS
    assert mapped["reduce"]["total"] == 0


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl.zst"])
async def test_a_columnar_program_gets_typed_columns(api: Api, data: Path, name: str) -> None:
    batching = {"maxBytes": 30_000}
    totals = await api.run("columnar_totals", f"sql/{name}", batching=batching, reducers=2)
    rows = await api.run("columnar_rows", f"sql/{name}", batching=batching)

    assert totals["state"] == "SUCCEEDED", totals["error"]
    wanted = f"SELECT city AS key, sum(amount) AS value FROM {csv(data)} GROUP BY city"
    assert unordered(totals["result"]) == unordered(plain(wanted))
    assert rows["state"] == "SUCCEEDED", rows["error"]
    wanted = f"SELECT * FROM {csv(data)} WHERE amount > 90"
    assert unordered(rows["result"]) == unordered(plain(wanted))


# ------------------------------------------------------------------ chains


@pytest.mark.parametrize("format_", ["JSONL", "CSV", "PARQUET"])
async def test_the_result_of_a_job_is_the_source_of_the_next(
    api: Api, data: Path, format_: str
) -> None:
    first = await submit_sql(
        api, "SELECT id, city, amount, day FROM input WHERE paid", "sql/rows.csv",
        output={"format": format_}, batching={"maxBytes": 60_000},
    )  # fmt: skip
    assert (await api.end_of(first))["state"] == "SUCCEEDED"

    sql = "SELECT city, count(*) AS n, max(day)::VARCHAR AS last, sum(amount) AS s FROM input "
    sql += "GROUP BY city"
    rows = await rows_of(api, sql, {"job": first}, reducers=2)
    python = await api.run("sales", {"job": first})

    paid = f"(SELECT * FROM {csv(data)} WHERE paid)"
    assert unordered(rows) == unordered(plain(over(sql, paid)))
    assert python["state"] == "SUCCEEDED", python["error"]
    assert {row["city"]: row["sales"] for row in python["result"]} == {
        row["city"]: row["n"] for row in rows
    }


async def test_a_job_that_is_not_there_is_no_source(api: Api) -> None:
    [issue] = await refusal_of(api, "SELECT * FROM input", {"job": "j-none"})

    assert issue["path"] == ["input", "source", "job"]


# ------------------------------------------------------------------ off


@pytest.fixture(scope="module")
def without_sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("without")
    sources = folder / "sources"
    sources.mkdir()
    with running_service(
        folder / "data", sources, port=free_port(), workers=1, settings={"FANFOLD_SQL": "off"}
    ) as running:
        yield running


async def test_sql_can_be_switched_off(without_sql: RunningService) -> None:
    async with Api(without_sql.url) as api:
        assert (await api.ask("{ service { sqlEnabled } }"))["service"] == {"sqlEnabled": False}
        issues = await refusal_of(api, "SELECT 1 FROM input", ["a"])
        assert [issue["path"] for issue in issues] == [["input", "sql"]]
        assert (await api.run("wordcount", ["a"]))["state"] == "SUCCEEDED"


async def test_sql_is_on_unless_told_otherwise(api: Api) -> None:
    assert (await api.ask("{ service { sqlEnabled } }"))["service"] == {"sqlEnabled": True}
