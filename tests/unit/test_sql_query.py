# ruff: noqa: S608
from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb
import pytest

from engine.errors import InputError
from engine.sql.query import parse_query
from engine.sql.refusal import MAX_TEXT_BYTES
from engine.sql.serialized import check_serialized

HOSTILE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM READ_PARQUET('x.parquet')",
    "SELECT * FROM read_json('x.json')",
    "SELECT * FROM read_json_auto('x.json')",
    "SELECT * FROM read_ndjson_objects('x')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM \"read_text\"('/etc/passwd')",
    "SELECT * FROM system.main.read_text('/etc/passwd')",
    "SELECT * FROM main.read_text('/etc/passwd')",
    "SELECT * FROM read_text/* */('/etc/passwd')",
    "SELECT * FROM read_duckdb('x.db')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_scan('x')",
    "SELECT * FROM parquet_metadata('x')",
    "SELECT * FROM parquet_schema('x')",
    "SELECT * FROM parquet_kv_metadata('x')",
    "SELECT * FROM parquet_bloom_probe('x', 'a', 1)",
    "SELECT * FROM seq_scan('x')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM python_map_function(1)",
    "SELECT * FROM iceberg_scan('s3://x')",
    "SELECT * FROM sqlite_scan('x.db', 't')",
    "SELECT * FROM postgres_scan('', '', '')",
    "SELECT * FROM 'x.csv'",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "x.csv"',
    "SELECT * FROM 'https://example.com/x.parquet'",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT * FROM input, 'x.csv'",
    "SELECT * FROM input JOIN 'x.csv' ON true",
    "SELECT (SELECT max(a) FROM 'x.csv') FROM input",
    "SELECT * FROM input WHERE a IN (SELECT a FROM other)",
    "SELECT * FROM input WHERE EXISTS (FROM other)",
    "SELECT * FROM (WITH w AS (SELECT 1) SELECT * FROM w), w",
    'WITH "x.csv" AS (SELECT * FROM "x.csv") SELECT * FROM "x.csv"',
    "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
    'SELECT * FROM (WITH "x.csv" AS (SELECT 1) SELECT 1) UNION ALL SELECT * FROM "x.csv"',
    "WITH input AS (SELECT 1 AS a) SELECT * FROM input",
    "WITH INPUT AS (SELECT 1 AS a) SELECT a FROM input",
    "SELECT * FROM (WITH input AS (SELECT 1) SELECT * FROM input)",
    "SELECT * FROM memory.main.input",
    "SELECT * FROM main.input",
    "SELECT * FROM other.input",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_logs()",
    "SELECT * FROM pragma_table_info('input')",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('input')",
    "SELECT * FROM json_execute_serialized_sql('x')",
    "SELECT * FROM which_secret('a', 'b')",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM repeat(1, 1000000000)",
    "SELECT getenv('HOME') FROM input",
    "SELECT a.getenv() FROM input",
    "SELECT 'HOME'.getenv() FROM input",
    "SELECT \"getenv\"('HOME') FROM input",
    "SELECT system.main.getenv('HOME') FROM input",
    "SELECT current_setting('threads') FROM input",
    "SELECT getvariable('x') FROM input",
    "SELECT nextval('s') FROM input",
    "SELECT currval('s') FROM input",
    "SELECT write_log('x') FROM input",
    "SELECT sleep_ms(100000) FROM input",
    "SELECT pg_sleep(1000) FROM input",
    "SELECT setseed(0.5) FROM input",
    "SELECT current_database() FROM input",
    "SELECT current_schemas(true) FROM input",
    "SELECT current_user FROM input",
    "SELECT current_query() FROM input",
    "SELECT pg_get_viewdef(1) FROM input",
    "SELECT has_table_privilege('a', 'b') FROM input",
    "SELECT txid_current() FROM input",
    "SELECT json_serialize_plan('SELECT 1') FROM input",
    "SELECT json_deserialize_sql('{}') FROM input",
    "SELECT a FROM input ORDER BY getenv('HOME')",
    "SELECT sum(a) FILTER (WHERE getenv('x') = '') FROM input",
    "SELECT a FROM input WHERE a = list_transform([1], lambda x: getenv('HOME'))[1]",
    "SELECT sum(a) OVER (PARTITION BY getenv('x')) FROM input",
    "SELECT a FROM input LIMIT (SELECT count(*) FROM 'x.csv')",
    "SELECT * FROM input; SELECT * FROM input",
    "SELECT * FROM input; DROP TABLE input",
    "COPY input TO 'x.csv'",
    "COPY (SELECT * FROM input) TO 'x.csv'",
    "ATTACH 'x.db'",
    "DETACH x",
    "SET threads = 1",
    "RESET threads",
    "SET VARIABLE x = 1",
    "PRAGMA version",
    "INSTALL httpfs",
    "LOAD httpfs",
    "EXPLAIN SELECT * FROM input",
    "EXPLAIN ANALYZE SELECT * FROM input",
    "EXPORT DATABASE 'x'",
    "IMPORT DATABASE 'x'",
    "CALL duckdb_settings()",
    "CREATE TABLE x AS SELECT * FROM input",
    "CREATE MACRO f(x) AS x",
    "INSERT INTO input SELECT 1",
    "UPDATE input SET a = 1",
    "DELETE FROM input",
    "DROP TABLE input",
    "ALTER TABLE input ADD COLUMN x INTEGER",
    "USE memory",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DESCRIBE input",
    "SHOW TABLES",
    "SUMMARIZE input",
    "SELECT * FROM (DESCRIBE input)",
    "SELECT * FROM (SHOW TABLES)",
    "SELECT * FROM (SUMMARIZE input)",
    "VALUES (1)",
    "SELECT * FROM (VALUES (1)) t",
    "PIVOT input ON a USING sum(b)",
    "SELECT a INTO x FROM input",
    "WITH x AS (DELETE FROM input RETURNING *) SELECT * FROM x",
    "SELECT * FROM input WHERE a = ?",
    "SELECT * FROM input WHERE a = $1",
    "SELECT * FROM",
    "SELECT * FROM input WHERE (a = 1",
    "",
    ";",
    "hello",
    "SELECT '" + "x" * MAX_TEXT_BYTES + "'",
]
LEGITIMATE = [
    "SELECT * FROM input",
    "select * from INPUT",
    "FROM input",
    "FROM input SELECT a WHERE b > 1",
    'SELECT * FROM "input"',
    "SELECT a FROM input;",
    "SELECT a FROM input -- done",
    "/* first */ SELECT a FROM input",
    "SELECT a, count(*) FROM input GROUP BY a",
    "SELECT a, count(*) FROM input GROUP BY ALL ORDER BY ALL LIMIT 3",
    "SELECT a FROM input WHERE b = $b AND c > $c",
    "WITH x AS (SELECT a FROM input) SELECT * FROM x",
    "WITH x AS (SELECT a FROM input), y AS (SELECT * FROM x) SELECT * FROM y, x",
    'WITH "odd name" AS (FROM input) SELECT * FROM "odd name"',
    "WITH x AS (FROM input) SELECT * FROM X",
    "SELECT * FROM (WITH x AS (FROM input) SELECT * FROM x) t",
    "WITH x AS (FROM input) SELECT (SELECT max(a) FROM x) FROM input",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT * FROM r",
    "SELECT * FROM (SELECT a FROM input) AS t WHERE a > 1",
    "SELECT a FROM input UNION ALL SELECT b FROM input",
    "SELECT a FROM input EXCEPT SELECT b FROM input",
    "SELECT a FROM input INTERSECT SELECT b FROM input ORDER BY 1",
    "(SELECT a FROM input)",
    "SELECT unnest(string_split(line, ' ')) AS word FROM input",
    "SELECT t.x FROM input, unnest(tags) AS t(x)",
    "SELECT i FROM input, range(3) AS r(i)",
    "SELECT i FROM input, generate_series(1, 3) AS r(i)",
    "SELECT x.a, y.b FROM input x JOIN input y ON x.a = y.b",
    "SELECT * FROM input x LEFT JOIN input y USING (a)",
    "SELECT a FROM input WHERE a IN (SELECT b FROM input)",
    "SELECT a, row_number() OVER (PARTITION BY b ORDER BY c) AS n FROM input QUALIFY n = 1",
    "SELECT sum(a) OVER w FROM input WINDOW w AS (ORDER BY b)",
    "SELECT a, sum(b) FILTER (WHERE c) FROM input GROUP BY ROLLUP (a)",
    "SELECT a FROM input TABLESAMPLE 10%",
    "SELECT list_transform(a, lambda x: x + 1) FROM input",
    "SELECT a.upper(), s.x, m['k'], l[1:2] FROM input",
    "SELECT {'x': a, 'y': [1, 2]} FROM input",
    "SELECT * EXCLUDE (a) REPLACE (b + 1 AS b) FROM input",
    "SELECT COLUMNS('^a') FROM input",
    "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, a::VARCHAR, TRY_CAST(b AS INT) FROM input",
    "SELECT date_trunc('day', ts), ts - INTERVAL 1 DAY, extract(year FROM ts) FROM input",
    "SELECT now(), today(), current_date, random(), uuid() FROM input",
    'SELECT "select", "getenv", "Größe" FROM input',
    "SELECT 'read_csv(''x'')' AS text FROM input",
    "SELECT a AS \"read_csv('x')\" FROM input",
    "SELECT count(*) AS glob, query FROM input GROUP BY query",
    "SELECT quantile_cont(a, 0.5), median(b), approx_count_distinct(c) FROM input",
    "SELECT typeof(a), regexp_extract(b, '(a+)', 1), strftime(ts, '%Y') FROM input",
]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1, "enable_external_access": False}) as connection:
        yield connection


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:70])
def test_a_hostile_text_is_refused_by_the_first_reader(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_query(text)
    assert caught.value.issues[0].path == ("input", "sql")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:70])
def test_a_hostile_text_is_refused_by_the_second_reader(
    con: duckdb.DuckDBPyConnection, text: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_serialized(con, text)
    assert caught.value.issues[0].path == ("input", "sql")


@pytest.mark.parametrize("text", LEGITIMATE, ids=lambda text: text[:70])
def test_a_legitimate_text_passes_both_readers(con: duckdb.DuckDBPyConnection, text: str) -> None:
    parsed = parse_query(text)
    check_serialized(con, text)
    assert parsed.text == text


def test_parameters_are_named_in_order_of_appearance() -> None:
    parsed = parse_query("SELECT $b, a FROM input WHERE a > $first AND b < $b AND c = '$no'")
    assert parsed.parameters == ("b", "first")


def test_a_problem_says_where_it_is(con: duckdb.DuckDBPyConnection) -> None:
    text = "SELECT a,\n  getenv('HOME') FROM input"
    for check in (lambda: parse_query(text), lambda: check_serialized(con, text)):
        with pytest.raises(InputError) as caught:
            check()
        message = caught.value.issues[0].message
        assert message == "line 2, column 3: the function getenv is not allowed"


def test_the_path_of_a_problem_is_the_callers() -> None:
    with pytest.raises(InputError) as caught:
        parse_query("SELECT * FROM other", "input", "params", "query")
    issue = caught.value.issues[0]
    assert issue.path == ("input", "params", "query")
    assert issue.message == "line 1, column 15: there is no table other; only input is read"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "(" * 5000 + "1" + ")" * 5000 + " FROM input",
        "SELECT " + "NOT " * 5000 + "ok FROM input",
        "SELECT " + "- " * 5000 + "a FROM input",
        "SELECT " + "[" * 5000 + "]" * 5000 + " FROM input",
        "SELECT " + "(SELECT " * 500 + "1" + ")" * 500 + " FROM input",
    ],
    ids=["parentheses", "not", "minus", "lists", "subqueries"],
)
def test_a_text_nested_beyond_reason_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="nested deeper"):
        parse_query(text)


@pytest.mark.parametrize("word", ["+ a ", "AND a ", "|| a ", "UNION ALL SELECT a FROM input "])
def test_a_long_chain_is_read_or_refused(con: duckdb.DuckDBPyConnection, word: str) -> None:
    text = f"SELECT a FROM input WHERE a {word * 4000}"[:60_000].rsplit(word[:2], 1)[0]
    for check in (lambda: parse_query(text), lambda: check_serialized(con, text)):
        with contextlib.suppress(InputError):
            check()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT level FROM input WHERE", "line 1, column 30: syntax error at end of input"),
        ("SELECT a FROM input\nGROUP BY -- a", "line 2, column 14: syntax error at end of input"),
        ("SELECT (a", "line 1, column 10: syntax error at end of input"),
        ("SELEC 1", 'line 1, column 1: syntax error at or near "SELEC"'),
        ("SELECT a,\n  b c d FROM input", 'line 2, column 7: syntax error at or near "d"'),
        ("SELECT a FROM input )", 'line 1, column 21: syntax error at or near ")"'),
        ("SELECT 'é' FROM FROM", 'line 1, column 17: syntax error at or near "FROM"'),
        ("SELECT 'open FROM input", "line 1, column 8: unterminated string literal"),
        ('SELECT "open FROM input', "line 1, column 8: unterminated quoted identifier"),
        ("SELECT a FROM input WHERE /* b", "line 1, column 27: unterminated /* comment"),
        ("CREATE TABLE", "line 1, column 13: syntax error at end of input"),
    ],
)
def test_what_is_no_sql_is_told_in_words_and_with_its_place(
    con: duckdb.DuckDBPyConnection, query: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        _read_by_both(con, query)

    (issue,) = caught.value.issues
    assert issue.message.startswith(message)
    for leak in ("sqlglot", "class", "Token", "\n", "\\n"):
        assert leak not in issue.message


def _read_by_both(con: duckdb.DuckDBPyConnection, query: str) -> None:
    parse_query(query)
    check_serialized(con, query)


def test_what_only_the_first_reader_refuses_is_told_in_words_too() -> None:
    with pytest.raises(InputError) as caught:
        parse_query("SELECT 1,\n  a! FROM input")

    (issue,) = caught.value.issues
    assert issue.message == "line 2, column 4: it cannot be parsed at or near '!'"
