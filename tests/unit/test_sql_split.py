# ruff: noqa: S608
from __future__ import annotations

import json
import re
from dataclasses import asdict

import duckdb
import pyarrow as pa
import pytest

from engine.sql.query import parameters_of, parse_query
from engine.sql.serialized import check_serialized
from engine.sql.split.splitter import split, whole_in_one
from engine.sql.split.steps import Combining, SqlSteps
from tests.support.sql_runner import differences, run, run_steps

MAKE_ROWS = """
SELECT
    (i * 7919 % 1000)::BIGINT AS id,
    CASE WHEN i % 11 = 0 THEN NULL ELSE 'c' || (i * 31 % 7) END AS country,
    (200 + 100 * (i % 4))::INTEGER AS status,
    CASE WHEN i % 13 = 0 THEN NULL ELSE (i * 104729 % 5000)::BIGINT END AS bytes,
    CASE WHEN i % 17 = 0 THEN NULL ELSE (i * 37 % 50)::INTEGER END AS user_id,
    CASE WHEN i % 19 = 0 THEN NULL ELSE sqrt(i) * 3.7 END AS f,
    CASE i % 5 WHEN 0 THEN 'NaN'::DOUBLE WHEN 1 THEN -0.0 WHEN 2 THEN 0.0 WHEN 3 THEN NULL
        ELSE 1.5 END AS odd,
    (i * 1.25)::DECIMAL(10, 2) AS price,
    i % 3 = 0 AS ok,
    TIMESTAMP '2026-01-01' + INTERVAL (i * 7) HOUR AS ts,
    'the quick ' || (i % 4) || ' fox ' || (i % 9) AS line,
    [i % 3, i % 4] AS tags,
    {'x': i % 5, 'y': 'v' || i % 2} AS s,
    (i % 6)::INTEGER AS "group",
    'ü' || (i % 3) AS "Größe",
    (i % 2)::INTEGER AS "Mixed Case"
FROM range(500) t(i)
"""

# Each with the shape that it must have: m map only, f map and finish, r with reduce, w whole.
QUERIES: list[tuple[str, str]] = [
    ("m", "SELECT * FROM input"),
    ("m", "FROM input SELECT id, country WHERE bytes > 1000"),
    ("m", "SELECT id, id AS x, ID, bytes + 1, lower(country) FROM input WHERE country LIKE 'c%'"),
    ("m", "SELECT * EXCLUDE (tags) REPLACE (bytes / 2 AS bytes) FROM input"),
    ("m", "SELECT COLUMNS('^s') FROM input"),
    ("m", "SELECT unnest(string_split(line, ' ')) AS word FROM input"),
    ("m", "SELECT id, t.x FROM input, unnest(tags) AS t(x)"),
    ("m", "SELECT id, t.x FROM input LEFT JOIN unnest(tags) AS t(x) ON true"),
    ("m", "WITH a AS (SELECT id, bytes FROM input), b AS (FROM a WHERE id > 3) SELECT * FROM b"),
    ("m", "SELECT id FROM input WHERE ok UNION ALL SELECT status FROM input"),
    ("m", "SELECT list_transform(tags, lambda x: x + 1) AS t, s.x, s.y AS y FROM input"),
    ("m", "SELECT id FROM input -- the end"),
    ("m", "SELECT id FROM input;"),
    ("f", "SELECT id, bytes FROM input ORDER BY id"),
    ("f", "SELECT * FROM input ORDER BY id LIMIT 10"),
    ("f", "SELECT *, bytes / 1000 AS kb FROM input ORDER BY kb DESC NULLS LAST, id LIMIT 7"),
    ("f", "SELECT bytes / 1000 AS kb, * FROM input ORDER BY id LIMIT 7 OFFSET 5"),
    ("w", "SELECT id AS a, bytes AS a FROM input ORDER BY id LIMIT 7"),
    ("f", "SELECT country, bytes FROM input ORDER BY id DESC LIMIT 7 OFFSET 3"),
    ("f", "SELECT country, bytes + 1 FROM input ORDER BY 2, id LIMIT 7"),
    ("f", "SELECT country, id FROM input ORDER BY ALL LIMIT 7"),
    ("f", "SELECT id FROM input ORDER BY bytes % 10 NULLS FIRST, id LIMIT 5"),
    ("f", "SELECT input.id FROM input ORDER BY input.id LIMIT 5"),
    ("f", "SELECT id FROM input ORDER BY id LIMIT $n"),
    ("f", "SELECT id FROM input ORDER BY id LIMIT $n OFFSET 2"),
    ("f", "SELECT id FROM input ORDER BY id OFFSET 490"),
    ("f", "SELECT x.a FROM (SELECT id * 2 AS a FROM input) x ORDER BY x.a"),
    ("r", "SELECT DISTINCT country FROM input"),
    ("r", "SELECT DISTINCT country, status + 1 FROM input ORDER BY 1, 2"),
    ("r", "SELECT DISTINCT country AS c, country FROM input ORDER BY c LIMIT 3"),
    ("r", "SELECT DISTINCT odd FROM input"),
    ("r", "SELECT DISTINCT * FROM input"),
    ("r", "SELECT count(*) FROM input"),
    ("r", "SELECT count(*) FROM input WHERE false"),
    ("r", "SELECT sum(bytes), avg(f), min(country), max(ts), count(f) FROM input WHERE false"),
    ("r", "SELECT sum(bytes), avg(bytes), min(country), max(ts), count(f) FROM input"),
    ("r", "SELECT sum(price), avg(price), sum(f), avg(f), sum(ok), sum(id) FROM input"),
    ("r", "SELECT country, count(*) FROM input GROUP BY country"),
    ("r", "SELECT COUNTRY, COUNT(*), SUM(Bytes) FROM input GROUP BY Country"),
    ("r", "SELECT country AS c, count(*) n FROM input GROUP BY c"),
    ("r", "SELECT lower(country) AS country, count(*) FROM input GROUP BY country"),
    ("r", "SELECT odd, count(*) FROM input GROUP BY odd"),
    ("r", "SELECT s.x, count(*) FROM input GROUP BY s.x"),
    ("r", "SELECT s, tags, count(*) FROM input GROUP BY ALL"),
    ("r", "SELECT date_trunc('day', ts) AS day, count(*) FROM input GROUP BY day ORDER BY day"),
    ("r", "SELECT date_trunc('month', ts), sum(bytes) FROM input GROUP BY 1 ORDER BY 1"),
    ("r", "SELECT status % 3 + 1, (status % 3) * 2, sum(f) FROM input GROUP BY status % 3"),
    ("r", "SELECT status, sum(bytes) / count(*), round(avg(f), 2) FROM input GROUP BY ALL"),
    ("r", "SELECT CASE WHEN ok THEN 'y' ELSE 'n' END k, sum(bytes) FROM input GROUP BY ALL"),
    ("r", "SELECT sum(CASE WHEN ok THEN bytes ELSE 0 END) * 1.0 / sum(bytes) FROM input"),
    (
        "r",
        "SELECT status, count(*) FILTER (WHERE ok), sum(f) FILTER (WHERE bytes > 9) FROM input"
        " GROUP BY status",
    ),
    ("r", "SELECT status, count(*) AS n FROM input GROUP BY status HAVING n > 100"),
    ("r", "SELECT status FROM input GROUP BY status HAVING sum(bytes) > 10 AND status > 200"),
    ("r", "SELECT country, count(*) AS n FROM input GROUP BY country ORDER BY n DESC, 1 LIMIT 3"),
    (
        "r",
        "SELECT user_id, sum(bytes) FROM input GROUP BY 1 HAVING count(*) > 2"
        " ORDER BY sum(bytes) DESC NULLS LAST, user_id LIMIT 5 OFFSET 2",
    ),
    ("r", "SELECT country, count(*), count(*) FROM input GROUP BY country ORDER BY country"),
    ("r", "SELECT country, country FROM input GROUP BY country ORDER BY 1"),
    (
        "r",
        "SELECT country, sum(bytes) AS b, rank() OVER (ORDER BY sum(bytes) DESC) AS r FROM input"
        " GROUP BY country ORDER BY r, country",
    ),
    ("r", "SELECT country, sum(sum(bytes)) OVER () FROM input GROUP BY country"),
    (
        "r",
        "SELECT country, status, sum(bytes) AS b FROM input GROUP BY 1, 2"
        " QUALIFY row_number() OVER (PARTITION BY status ORDER BY b DESC, country) = 1",
    ),
    ("r", "SELECT DISTINCT count(*) FROM input GROUP BY country"),
    ("r", "SELECT count(*) AS n, n + 1 FROM input"),
    (
        "r",
        "SELECT word, count(*) n FROM (SELECT unnest(string_split(line, ' ')) AS word FROM input)"
        " GROUP BY word ORDER BY n DESC, word",
    ),
    (
        "r",
        "WITH w AS (SELECT unnest(tags) AS tag, bytes FROM input WHERE ok)"
        " SELECT tag, sum(bytes), count(DISTINCT bytes) FROM w GROUP BY tag",
    ),
    (
        "r",
        "SELECT stddev(f), stddev_samp(f), stddev_pop(f), variance(f), var_samp(bytes),"
        " var_pop(price), sem(f), skewness(f), kurtosis(f), kurtosis_pop(f) FROM input",
    ),
    (
        "r",
        "SELECT status, corr(f, bytes), covar_pop(f, bytes), covar_samp(f, bytes),"
        " regr_slope(f, bytes), regr_count(f, bytes), regr_intercept(f, bytes), regr_r2(f, id),"
        " regr_avgx(f, id), regr_avgy(f, id), regr_sxx(f, id), regr_sxy(f, id), regr_syy(f, id)"
        " FROM input GROUP BY status",
    ),
    (
        "r",
        "SELECT fsum(f), kahan_sum(f), sumkahan(f), favg(f), mean(bytes), product(1 + f / 1e6)"
        " FROM input",
    ),
    ("r", "SELECT country, stddev(f) FILTER (WHERE ok AND bytes > 4000) FROM input GROUP BY 1"),
    (
        "r",
        "SELECT status, bool_and(ok), bool_or(ok), bit_and(bytes), bit_or(bytes), bit_xor(bytes),"
        " count_if(ok), countif(bytes > 3) FROM input GROUP BY status",
    ),
    ("r", "SELECT status, any_value(status), arbitrary(status) FROM input GROUP BY status"),
    (
        "r",
        "SELECT status, min_by(country, ts), max_by(f, ts), arg_min(id, ts), arg_max(country, ts)"
        " FILTER (WHERE ok), argmax(line, ts) FROM input GROUP BY status",
    ),
    (
        "r",
        "SELECT status, approx_count_distinct(user_id), approx_count_distinct(line) FROM input"
        " GROUP BY status",
    ),
    ("r", "SELECT approx_count_distinct(country), count_if(ok) FROM input WHERE false"),
    (
        "r",
        "SELECT country, status, count(*), sum(bytes), avg(bytes), count(DISTINCT user_id)"
        " FROM input GROUP BY country, status",
    ),
    ("r", "SELECT count(DISTINCT user_id) FROM input"),
    ("r", "SELECT count(DISTINCT user_id), count(*) FROM input WHERE false"),
    (
        "r",
        "SELECT count(DISTINCT user_id), sum(DISTINCT user_id), avg(DISTINCT bytes),"
        " stddev(DISTINCT f), count(DISTINCT odd), max(DISTINCT f) FROM input",
    ),
    (
        "r",
        "SELECT odd, count(DISTINCT country), count(DISTINCT user_id) FILTER (WHERE ok),"
        " count(DISTINCT user_id), count(*), stddev(f), min_by(id, ts) FROM input GROUP BY odd"
        " HAVING count(DISTINCT user_id) > 1 ORDER BY 2 DESC, 1 LIMIT 3",
    ),
    ("r", "SELECT country, count(DISTINCT user_id) FROM input WHERE user_id IS NULL GROUP BY ALL"),
    ("r", "SELECT sum(id), sum(DISTINCT id), avg(bytes), avg(DISTINCT bytes) FROM input"),
    ("r", "SELECT status, sum(DISTINCT status), sum(status), count(status) FROM input GROUP BY 1"),
    (
        "r",
        "SELECT count(DISTINCT id) FILTER (WHERE ok), count(id) FILTER (WHERE ok), count(id)"
        " FROM input",
    ),
    (
        "r",
        "SELECT country, median(f), quantile_cont(f, 0.9), mode(status), count(*) FROM input"
        " GROUP BY country",
    ),
    ("r", "SELECT median(bytes), mad(f), entropy(status) FROM input"),
    (
        "r",
        "SELECT country, list(id), string_agg(line, ',' ORDER BY id), histogram(status),"
        " count(DISTINCT status), sum(f) FILTER (WHERE ok) FROM input GROUP BY country",
    ),
    (
        "r",
        "SELECT status, list(DISTINCT country), quantile_disc(f, [0.1, 0.5]) FROM input GROUP BY 1",
    ),
    ("r", "SELECT status, array_agg(id ORDER BY ts DESC)[1:3] FROM input GROUP BY status"),
    ("r", 'SELECT "group", "Größe", count(*), "Mixed Case" FROM input GROUP BY ALL'),
    ("r", 'SELECT "mixed case" AS "SELECT", sum("group") AS "a ""b" FROM input GROUP BY 1'),
    ("r", "SELECT id, row_number() OVER (PARTITION BY country ORDER BY id, ts) FROM input"),
    ("r", "SELECT *, sum(bytes) OVER (PARTITION BY status) AS total FROM input WHERE ok"),
    (
        "r",
        "SELECT country, id, row_number() OVER (PARTITION BY country ORDER BY ts DESC) AS rn"
        " FROM input QUALIFY rn = 1 ORDER BY id",
    ),
    (
        "r",
        "SELECT t.id, avg(bytes) OVER w - avg(bytes) OVER (PARTITION BY t.status) AS d"
        " FROM input t WINDOW w AS (PARTITION BY country, status)",
    ),
    ("r", "SELECT year(ts) AS y, sum(bytes) FILTER (WHERE country = $c) FROM input GROUP BY y"),
    (
        "r",
        "SELECT lower(country) AS country, count(*) FROM input GROUP BY country"
        " ORDER BY country DESC NULLS LAST LIMIT 3",
    ),
    (
        "r",
        "SELECT -status AS status, status + 1 AS t FROM input GROUP BY status"
        " HAVING status > 200 ORDER BY status LIMIT 2",
    ),
    ("w", "SELECT country, status, count(*) FROM input GROUP BY ROLLUP (country, status)"),
    ("w", "SELECT id FROM input WHERE bytes > (SELECT avg(bytes) FROM input)"),
    ("w", "SELECT a.id, b.status FROM input a JOIN input b ON a.id = b.id + 1"),
    ("w", "SELECT id, sum(bytes) OVER (ORDER BY id, ts) FROM input"),
    ("w", "SELECT id FROM input UNION SELECT status FROM input"),
    ("w", "SELECT avg(n) FROM (SELECT country, count(*) AS n FROM input GROUP BY country)"),
    (
        "w",
        "WITH g AS (SELECT country, count(*) n FROM input GROUP BY 1) SELECT * FROM g"
        " WHERE n = (SELECT max(n) FROM g)",
    ),
    ("w", "SELECT DISTINCT ON (country) country FROM input ORDER BY country, id"),
    ("w", "SELECT count(*) FROM input WHERE ts < now()"),
    ("w", "SELECT bytes AS b, id AS bytes FROM input WHERE bytes > 5 ORDER BY bytes + 1, b, id"),
    ("w", "SELECT 'x' AS c, count(*) FROM input GROUP BY ALL"),
    ("w", "SELECT count(*) FROM input GROUP BY country || status, status, country LIMIT 50%"),
    (
        "w",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3)"
        " SELECT n, count(*) FROM r, input GROUP BY n",
    ),
    ("w", "SELECT lower(line) COLLATE nocase AS l, count(*) FROM input GROUP BY ALL"),
    ("w", "SELECT id FROM input ORDER BY line COLLATE nocase, id"),
    ("w", "SELECT current_date AS d FROM input"),
    ("w", "SELECT id FROM input ORDER BY id LIMIT 1 + 1 -- ü"),
    ("w", "SELECT wavg(f, bytes) FROM input WHERE bytes > 3"),
    ("w", "SELECT id FROM input WHERE id IN (SELECT user_id FROM input)"),
]
# With the columns known; f and r as above.
OF_KNOWN_COLUMNS: list[tuple[str, str]] = [
    ("r", "SELECT user_id, sum(bytes) AS bytes FROM input GROUP BY user_id"),
    ("r", "SELECT user_id, sum(bytes) AS bytes, avg(bytes) AS mean FROM input GROUP BY user_id"),
    (
        "r",
        "SELECT user_id, SUM(Bytes) AS Bytes FROM input GROUP BY 1 HAVING bytes > 9"
        " ORDER BY bytes, 1",
    ),
    (
        "r",
        "SELECT status, sum(bytes) AS id, max(id) AS m FROM input GROUP BY ALL HAVING id + 1 > 9",
    ),
    ("r", "SELECT status, sum(id) AS bytes FROM input GROUP BY status ORDER BY sum(bytes) DESC"),
    ("r", "SELECT status AS id, sum(id) AS status FROM input GROUP BY status HAVING status > 200"),
    (
        "r",
        "SELECT status + 1 AS q, sum(id) AS status FROM input GROUP BY status + 1"
        " HAVING status > 1",
    ),
    ("r", "SELECT status, -status AS s2, sum(s2) FROM input GROUP BY status ORDER BY abs(s2) DESC"),
    ("r", "SELECT -status AS status, count(*) FROM input GROUP BY status ORDER BY input.status"),
    (
        "r",
        "SELECT lower(country) AS country, count(DISTINCT id) AS id FROM input GROUP BY 1"
        " ORDER BY ALL",
    ),
    (
        "r",
        "SELECT status, count(*) FROM (SELECT id, status FROM input) GROUP BY ALL ORDER BY status",
    ),
    (
        "r",
        "SELECT bytes + 1 AS b2, sum(b2) AS id FROM input WHERE b2 > 5 GROUP BY bytes ORDER BY 1",
    ),
    ("r", "SELECT DISTINCT -status AS status, ok AS id FROM input ORDER BY status, id"),
    ("r", "SELECT status, list_transform([status], lambda id: id + 1) AS id FROM input GROUP BY 1"),
    ("r", "SELECT s.x AS id, sum(id) FROM input GROUP BY s.x ORDER BY id"),
    (
        "r",
        "SELECT *, row_number() OVER (PARTITION BY status ORDER BY id, ts) AS rn FROM input"
        " QUALIFY rn = 1 ORDER BY status",
    ),
    (
        "r",
        "SELECT *, row_number() OVER (PARTITION BY status ORDER BY id, ts) AS id FROM input"
        " QUALIFY id < 300 ORDER BY status, input.id, input.ts",
    ),
    (
        "r",
        "SELECT country, sum(bytes) AS bytes, rank() OVER (ORDER BY sum(bytes)) AS rank FROM input"
        " GROUP BY country ORDER BY rank, country",
    ),
    ("f", "SELECT -bytes AS bytes, id FROM input WHERE bytes > 9 ORDER BY bytes + 0, id LIMIT 7"),
    ("f", "SELECT -bytes AS bytes, id FROM input ORDER BY bytes, input.id LIMIT 7"),
]
# What GROUP BY ALL takes for one more key.
OF_MORE_KEYS = [
    "SELECT status % 3 AS k, count(*) FROM input GROUP BY ALL HAVING k = 0",
    "SELECT status % 3 AS k, count(*) FROM input GROUP BY ALL HAVING status % 3 = 0",
    "SELECT status % 3 AS k, count(*) FROM input GROUP BY ALL HAVING status > 200",
    "SELECT status % 3 AS status, count(*) FROM input GROUP BY ALL HAVING status = 0",
]
PARAMS = {"n": 4, "c": "c1"}


@pytest.fixture(scope="module")
def rows(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return con.sql(MAKE_ROWS).to_arrow_table()


def shape_of(steps: SqlSteps, query: str) -> str:
    if steps.reduce is None:
        return "m" if steps.finish is None else "f"
    return "w" if steps == whole_in_one(parse_query(query)) else "r"


@pytest.mark.parametrize(("shape", "query"), QUERIES, ids=[q for _, q in QUERIES])
def test_a_query_in_steps_gives_what_duckdb_gives(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, shape: str, query: str
) -> None:
    parsed = parse_query(query)
    check_serialized(con, query)
    plain = run(con, query, rows, PARAMS)
    for steps in (*(split(parsed, combining=each) for each in Combining), whole_in_one(parsed)):
        for batches, reducers in ((1, 1), (2, 2), (7, 5)):
            found = run_steps(con, steps, rows, batches=batches, reducers=reducers, params=PARAMS)
            assert not differences(con, plain, found, ordered=_is_ordered(query)), steps
    assert shape_of(split(parsed), query) == shape


@pytest.mark.parametrize(("shape", "query"), QUERIES, ids=[q for _, q in QUERIES])
def test_a_query_in_steps_over_no_rows_gives_what_duckdb_gives(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, shape: str, query: str
) -> None:
    empty = rows.slice(0, 0)
    plain = run(con, query, empty, PARAMS)
    found = run_steps(con, split(parse_query(query)), empty, batches=3, reducers=2, params=PARAMS)
    assert not differences(con, plain, found, ordered=False)


@pytest.mark.parametrize(
    ("shape", "query"), OF_KNOWN_COLUMNS, ids=[query for _, query in OF_KNOWN_COLUMNS]
)
def test_a_name_that_is_an_alias_and_a_column_means_what_duckdb_takes_it_for(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, shape: str, query: str
) -> None:
    parsed = parse_query(query)
    plain = run(con, query, rows)
    known = split(parsed, columns=rows.column_names)
    for steps in (known, split(parsed)):
        for batches, reducers in ((1, 1), (7, 5)):
            found = run_steps(con, steps, rows, batches=batches, reducers=reducers)
            assert not differences(con, plain, found, ordered=_is_ordered(query)), steps
    assert shape_of(known, query) == shape


@pytest.mark.parametrize("query", OF_MORE_KEYS)
def test_conditions_that_make_groups_finer_are_left_to_duckdb(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, query: str
) -> None:
    plain = run(con, query, rows)
    for columns in (rows.column_names, None):
        steps = split(parse_query(query), columns=columns)
        found = run_steps(con, steps, rows, batches=3, reducers=2)
        assert not differences(con, plain, found, ordered=False), steps


def test_an_alias_of_itself_shows_that_there_is_such_a_column() -> None:
    query = "SELECT user_id, sum(bytes) AS bytes, avg(bytes) AS mean FROM input GROUP BY user_id"
    assert shape_of(split(parse_query(query)), query) == "r"


def _is_ordered(query: str) -> bool:
    outer = query.rsplit("FROM input", 1)[-1]
    return "ORDER BY" in outer and "OVER" not in outer and "ORDER BY ts" not in outer


def test_the_main_question_is_answered_without_shuffling_rows() -> None:
    steps = split(
        parse_query(
            "SELECT country, status, count(*), sum(bytes), avg(bytes), count(DISTINCT user_id)"
            " FROM input GROUP BY country, status"
        )
    )
    assert steps.partition_by == ("country", "status", "__d0")
    scan, partials, pairs = re.split(r"(?<=\)) (?=\()| UNION ALL BY NAME ", steps.map)
    assert scan == (
        'WITH __r AS MATERIALIZED (SELECT "input".country, "input".status,'
        ' "input".user_id AS __d0, "input".bytes AS __v0 FROM "input")'
    )
    assert partials.endswith('AS __s FROM __r GROUP BY "country", "status")')
    assert pairs == '(SELECT "country", "status", __d0 FROM __r WHERE __d0 IS NOT NULL)'
    assert steps.finish is not None


def test_rows_of_pairs_cost_little_more_than_their_values(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.sql("SELECT i % 3 AS k, i * 7 AS x, i AS y FROM range(50_000) t(i)").to_arrow_table()
    query = "SELECT k, count(*), sum(y), avg(y), stddev(y), min(y), count(DISTINCT x) FROM input"
    mapped = run(con, split(parse_query(f"{query} GROUP BY k")).map, rows)
    assert mapped.column_names == ["k", "__s", "__d0"]
    assert mapped.nbytes / len(mapped) < 8 + 8 + 6


def test_the_source_of_several_kinds_of_pairs_is_scanned_once(
    con: duckdb.DuckDBPyConnection, rows: pa.Table
) -> None:
    query = "SELECT country, count(DISTINCT id), count(DISTINCT f), sum(f) FROM input GROUP BY 1"
    con.register("input", rows)
    plan = con.sql(f"EXPLAIN {split(parse_query(query)).map}").fetchall()[0][1]
    con.unregister("input")
    assert plan.count("ARROW_SCAN") == 1


def test_words_are_counted_in_map() -> None:
    steps = split(
        parse_query(
            "SELECT word, count(*) n FROM"
            " (SELECT unnest(string_split(line, ' ')) AS word FROM input) GROUP BY word"
        )
    )
    assert steps.partition_by == ("word",)
    assert steps.map.startswith("SELECT __s.word, count_star() AS __a0 FROM (SELECT unnest(")
    assert steps.finish is None


def test_a_global_aggregate_is_one_row_of_each_batch(
    con: duckdb.DuckDBPyConnection, rows: pa.Table
) -> None:
    steps = split(parse_query("SELECT count(*), avg(f), stddev(f) FROM input"))
    assert steps.partition_by == ()
    assert len(run(con, steps.map, rows)) == 1


def test_the_one_reducer_gets_the_columns_and_rows_that_it_needs(
    con: duckdb.DuckDBPyConnection, rows: pa.Table
) -> None:
    query = "SELECT ID, sum(bytes) OVER (ORDER BY id) AS t FROM input WHERE ok"
    mapped = run(con, whole_in_one(parse_query(query)).map, rows)
    assert mapped.column_names == ["id", "bytes", "ok"]
    assert len(mapped) < len(rows)


def test_names_like_ours_are_not_split(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.sql("SELECT i AS __a0, i % 3 AS __k0 FROM range(9) t(i)").to_arrow_table()
    query = "SELECT __k0 + 1, sum(__a0) FROM input GROUP BY 1"
    assert split(parse_query(query)) == whole_in_one(parse_query(query))
    found = run_steps(con, split(parse_query(query)), rows, batches=2, reducers=2)
    assert not differences(con, run(con, query, rows), found, ordered=False)


@pytest.mark.parametrize("column", ["k", "z"])
def test_an_alias_that_may_be_a_column_means_what_duckdb_takes_it_for(
    con: duckdb.DuckDBPyConnection, column: str
) -> None:
    rows = con.sql(f"SELECT i, i % 3 AS {column} FROM range(9) t(i)").to_arrow_table()
    query = "SELECT i % 2 AS k, count(*) AS n FROM input GROUP BY i, k ORDER BY ALL"
    found = run_steps(con, split(parse_query(query)), rows, batches=2, reducers=2)
    assert not differences(con, run(con, query, rows), found, ordered=True)


def test_types_that_arrow_does_not_have_come_through(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.sql("SELECT i, i % 3 AS k FROM range(30) t(i)").to_arrow_table()
    for value in (
        "i::HUGEINT",
        "md5(k::VARCHAR)::UUID",
        "k::BIT",
        "to_months(k::INTEGER) + to_hours(k)",
        "k::VARCHAR::BLOB",
        "TIMETZ '10:00:00+01'",
        "[k::HUGEINT]",
        "MAP {'a': k}",
        "{'a': k::UHUGEINT}",
    ):
        query = f"SELECT k, {value} AS v, max({value}), count(*) FROM input GROUP BY ALL"
        found = run_steps(con, split(parse_query(query)), rows, batches=3, reducers=2)
        assert not differences(con, run(con, query, rows), found, ordered=False), value


def test_parameters_are_those_of_the_step() -> None:
    steps = split(parse_query("SELECT a, sum(b) FROM input WHERE c > $c GROUP BY a LIMIT $n"))
    assert parameters_of(steps.map) == ("c",)
    assert steps.finish is not None
    assert parameters_of(steps.finish) == ("n",)


def test_steps_can_be_kept_as_json() -> None:
    steps = split(parse_query("SELECT a, count(*) FROM input GROUP BY a"))
    assert SqlSteps(**json.loads(json.dumps(asdict(steps)))).map == steps.map
