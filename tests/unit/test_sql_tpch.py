"""TPC-H's questions, asked of one table that is made up like lineitem."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from engine.sql.query import parse_query
from engine.sql.serialized import check_serialized
from engine.sql.split.splitter import split, whole_in_one
from engine.sql.split.steps import Combining
from tests.support.sql_runner import differences, run, run_steps

MAKE_LINES = """
SELECT
    (i * 7919 % 500)::BIGINT AS l_orderkey,
    (i * 31 % 200)::BIGINT AS l_partkey,
    (i * 17 % 40)::BIGINT AS l_suppkey,
    (i % 7 + 1)::INTEGER AS l_linenumber,
    (i * 13 % 50 + 1)::DECIMAL(15, 2) AS l_quantity,
    (i * 104729 % 90000 + 900.5)::DECIMAL(15, 2) AS l_extendedprice,
    (i % 11 / 100.0)::DECIMAL(15, 2) AS l_discount,
    (i % 9 / 100.0)::DECIMAL(15, 2) AS l_tax,
    ['A', 'N', 'R'][i % 3 + 1] AS l_returnflag,
    ['F', 'O'][i % 2 + 1] AS l_linestatus,
    DATE '1992-01-01' + (i * 37 % 2500)::INTEGER AS l_shipdate,
    DATE '1992-01-01' + (i * 41 % 2500)::INTEGER AS l_commitdate,
    DATE '1992-01-01' + (i * 43 % 2500)::INTEGER AS l_receiptdate,
    ['AIR', 'MAIL', 'SHIP', 'RAIL', 'TRUCK'][i * 3 % 5 + 1] AS l_shipmode,
    ['PROMO BRUSHED', 'STANDARD', 'ECONOMY'][i * 7 % 3 + 1] AS p_type
FROM range(6000) t(i)
"""

QUESTIONS = {
    "Q1": """
        SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
            sum(l_extendedprice) AS sum_base_price,
            sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
            sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
            avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price,
            avg(l_discount) AS avg_disc, count(*) AS count_order
        FROM input
        WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL '90' DAY
        GROUP BY l_returnflag, l_linestatus
        ORDER BY l_returnflag, l_linestatus""",
    "Q6": """
        SELECT sum(l_extendedprice * l_discount) AS revenue
        FROM input
        WHERE l_shipdate >= DATE '1994-01-01'
            AND l_shipdate < DATE '1994-01-01' + INTERVAL '1' YEAR
            AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
    "Q12": """
        SELECT l_shipmode,
            sum(CASE WHEN l_linenumber = 1 OR l_linenumber = 2 THEN 1 ELSE 0 END) AS high,
            sum(CASE WHEN l_linenumber <> 1 AND l_linenumber <> 2 THEN 1 ELSE 0 END) AS low
        FROM input
        WHERE l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate
        GROUP BY l_shipmode
        ORDER BY l_shipmode""",
    "Q14": """
        SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%'
                THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
            / sum(l_extendedprice * (1 - l_discount)) AS promo_revenue
        FROM input
        WHERE l_shipdate >= DATE '1995-09-01'""",
    "top orders": """
        SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, min(l_shipdate)
        FROM input
        WHERE l_shipdate > DATE '1995-03-15'
        GROUP BY l_orderkey
        ORDER BY revenue DESC, l_orderkey
        LIMIT 10""",
    "Q16": """
        SELECT p_type, l_shipmode, count(DISTINCT l_suppkey) AS supplier_cnt, count(*) AS lines
        FROM input
        WHERE l_quantity > 10
        GROUP BY p_type, l_shipmode
        ORDER BY supplier_cnt DESC, p_type, l_shipmode""",
    "Q18": """
        SELECT l_orderkey, sum(l_quantity) FROM input GROUP BY l_orderkey
        HAVING sum(l_quantity) > 300 ORDER BY 2 DESC, 1""",
    "median": """
        SELECT l_shipmode, median(l_extendedprice), quantile_cont(l_quantity, [0.1, 0.9])
        FROM input GROUP BY l_shipmode ORDER BY l_shipmode""",
    "window over aggregates": """
        SELECT year(l_shipdate) AS y, l_shipmode, sum(l_extendedprice) AS revenue,
            sum(l_extendedprice) / sum(sum(l_extendedprice)) OVER (PARTITION BY year(l_shipdate))
                AS share
        FROM input GROUP BY y, l_shipmode ORDER BY y, l_shipmode""",
    "latest line of each order": """
        SELECT l_orderkey, l_partkey, l_shipdate FROM input
        QUALIFY row_number() OVER (
            PARTITION BY l_orderkey ORDER BY l_shipdate DESC, l_partkey, l_suppkey) = 1
        ORDER BY l_orderkey""",
    "dearest lines": """
        SELECT *, l_extendedprice * (1 - l_discount) AS net
        FROM input ORDER BY net DESC, l_orderkey, l_partkey, l_shipdate LIMIT 20""",
    "distinct": "SELECT DISTINCT l_shipmode, l_returnflag FROM input ORDER BY 1, 2",
    "spread": """
        SELECT l_returnflag, stddev(l_extendedprice), corr(l_quantity, l_extendedprice),
            approx_count_distinct(l_partkey)
        FROM input GROUP BY l_returnflag ORDER BY l_returnflag""",
}


@pytest.fixture(scope="module")
def lines(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return con.sql(MAKE_LINES).to_arrow_table()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_splits_and_gives_what_duckdb_gives(
    con: duckdb.DuckDBPyConnection, lines: pa.Table, name: str
) -> None:
    text = QUESTIONS[name]
    query = parse_query(text)
    check_serialized(con, text)
    plain = run(con, text, lines)
    steps = split(query)
    assert steps != whole_in_one(query)
    for batches, reducers in ((1, 1), (7, 5)):
        found = run_steps(con, steps, lines, batches=batches, reducers=reducers)
        assert not differences(con, plain, found, ordered=True)


def rows_between(con: duckdb.DuckDBPyConnection, lines: pa.Table, name: str) -> int:
    return len(run(con, split(parse_query(QUESTIONS[name])).map, lines))


@pytest.mark.parametrize(
    ("name", "most"),
    [("Q1", 6), ("Q6", 1), ("Q12", 2), ("Q14", 1), ("dearest lines", 20), ("distinct", 15)],
)
def test_map_gives_few_rows(
    con: duckdb.DuckDBPyConnection, lines: pa.Table, name: str, most: int
) -> None:
    assert rows_between(con, lines, name) <= most


def test_values_counted_once_travel_without_the_rest_of_their_rows(
    con: duckdb.DuckDBPyConnection, lines: pa.Table
) -> None:
    query = parse_query(QUESTIONS["Q16"])
    steps = split(query)
    assert steps.partition_by == ("p_type", "l_shipmode", "__d0")
    mapped = run(con, steps.map, lines)
    assert mapped.column_names == ["p_type", "l_shipmode", "__s", "__d0"]
    assert len(run(con, split(query, combining=Combining.VALUES).map, lines)) < len(mapped)


def test_groups_of_a_median_are_shuffled_by_key_with_the_needed_columns_alone() -> None:
    steps = split(parse_query(QUESTIONS["median"]))
    assert steps.partition_by == ("l_shipmode",)
    assert steps.map == (
        'SELECT "input".l_shipmode, "input".l_extendedprice AS __v0, "input".l_quantity AS __v1'
        ' FROM "input"'
    )


def test_a_top_k_is_cut_in_every_task() -> None:
    steps = split(parse_query(QUESTIONS["top orders"]))
    assert steps.partition_by == ("l_orderkey",)
    assert steps.reduce is not None
    assert steps.reduce.endswith("ORDER BY __m0 DESC, l_orderkey LIMIT 10")
    assert steps.finish is not None
    assert steps.finish.endswith("LIMIT 10")


def test_the_answer_so_far_is_the_answer_for_the_batches_so_far(
    con: duckdb.DuckDBPyConnection, lines: pa.Table
) -> None:
    text = QUESTIONS["Q1"]
    steps = split(parse_query(text))
    assert steps.supports_partial
    half = lines.slice(0, len(lines) // 2)
    found = run_steps(con, steps, half, batches=3, reducers=2)
    assert not differences(con, run(con, text, half), found, ordered=True)
