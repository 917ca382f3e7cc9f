# ruff: noqa: S608
from __future__ import annotations

import os
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sql.query import parse_query
from engine.sql.serialized import check_serialized
from engine.sql.split.splitter import split
from engine.sql.split.steps import Combining
from tests.support.sql_runner import differences, run, run_steps

MANY = int(os.environ.get("SQL_EXAMPLES", "500"))
MAKE_ROWS = """
SELECT
    i::BIGINT AS id,
    CASE WHEN i % 11 = 0 THEN NULL ELSE 'k' || (i * 31 % 5) END AS a,
    CASE WHEN i % 13 = 0 THEN NULL ELSE (i * 17 % 4)::INTEGER END AS b,
    CASE WHEN i % 7 = 0 THEN NULL ELSE (i * 104729 % 997)::BIGINT END AS x,
    CASE WHEN i % 19 = 0 THEN NULL ELSE sqrt(i) + 1 END AS f,
    CASE i % 4 WHEN 0 THEN 'NaN'::DOUBLE WHEN 1 THEN -0.0 WHEN 2 THEN 0.0 END AS odd,
    CASE WHEN i % 5 = 0 THEN NULL ELSE (i * 1.25)::DECIMAL(12, 3) END AS m,
    i % 3 = 0 AS ok,
    TIMESTAMP '2026-01-01' + INTERVAL (i * 7) HOUR AS ts
FROM range(500) t(i)
"""

KEYS = st.sampled_from(
    ["a", "b", "odd", "ok", "b + 1", "lower(a)", "date_trunc('month', ts)", "x % 3", "a || 'z'"]
)
NUMBERS = st.sampled_from(["x", "f", "m", "x + 1", "f * 2", "id", "CASE WHEN ok THEN x ELSE 0 END"])
ANY = st.one_of(NUMBERS, st.sampled_from(["a", "ts", "ok", "odd", "upper(a)"]))
CONDITIONS = st.sampled_from(
    ["ok", "x > 300", "a IS NOT NULL", "f < 15 OR b = 2", "id < 0", "a IN ('k1', 'k2')", "NOT ok"]
)
AGGREGATE = st.one_of(
    st.just("count(*)"),
    st.builds("{}({})".format, st.sampled_from(["count", "min", "max"]), ANY),
    st.builds("count(DISTINCT {})".format, ANY),
    st.builds(
        "{}({})".format,
        st.sampled_from(["sum", "avg", "stddev", "var_pop", "median", "mean", "kahan_sum"]),
        NUMBERS,
    ),
    st.builds("{}(DISTINCT {})".format, st.sampled_from(["sum", "avg", "max"]), NUMBERS),
    st.sampled_from(
        [
            "bool_and(ok)",
            "bool_or(x > 900)",
            "bit_xor(x)",
            "count_if(ok)",
            "min_by(a, id)",
            "max_by(m, id)",
            "list(x)",
            "string_agg(a, ',' ORDER BY id)",
            "corr(f, x)",
            "quantile_cont(f, 0.25)",
            "approx_count_distinct(x)",
        ]
    ),
)
FILTERED = st.one_of(
    AGGREGATE, AGGREGATE, st.builds("{} FILTER (WHERE {})".format, AGGREGATE, CONDITIONS)
)
NUMERIC = st.sampled_from(["count(*)", "sum(x)", "avg(f)", "count(DISTINCT b)", "max(m)"])
OVER_AGGREGATES = st.one_of(
    FILTERED,
    FILTERED,
    st.builds("{} / ({} + 1)".format, NUMERIC, NUMERIC),
    st.builds("round({}, 3)".format, NUMERIC),
    st.builds("CASE WHEN {} > 20 THEN {} END".format, NUMERIC, NUMERIC),
)
SOURCES = st.sampled_from(
    [
        "input",
        "input",
        "(SELECT * FROM input WHERE id % 2 = 0) s",
        "(SELECT id, a, b, x, f, odd, m, ok, ts FROM input) AS s",
        "(SELECT unnest([id, id + 1]) AS id, a, b, x, f, odd, m, ok, ts FROM input)",
    ]
)
WITHS = st.sampled_from(["", "", "WITH w AS (FROM input WHERE ok OR x > 1) "])


@st.composite
def grouped(draw: st.DrawFn) -> tuple[str, bool]:
    keys = draw(st.lists(KEYS, max_size=3, unique=True))
    values = draw(st.lists(OVER_AGGREGATES, min_size=0 if keys else 1, max_size=4))
    named = draw(st.booleans())
    items = [f"{key} AS k{at}" if named else key for at, key in enumerate(keys)]
    items += [
        f"{value} AS v{at}" if is_named else value
        for at, (value, is_named) in enumerate((v, draw(st.booleans())) for v in values)
    ]
    with_: str = draw(WITHS)
    source = "w" if with_ else draw(SOURCES)
    where = draw(st.one_of(st.just(""), st.builds(" WHERE {}".format, CONDITIONS)))
    forms = [keys, [str(at + 1) for at in range(len(keys))], ["ALL"]]
    if named:
        forms.append([f"k{at}" for at in range(len(keys))])
    chosen: list[str] = draw(st.sampled_from(forms))
    by = f" GROUP BY {', '.join(chosen)}" if keys else ""
    having = draw(st.sampled_from(["", "", " HAVING count(*) > 20", " HAVING sum(x) > 100"]))
    order, ordered = "", False
    if draw(st.booleans()) and keys:
        # Ordering by all keys leaves no ties.
        way = draw(st.sampled_from(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]))
        order = " ORDER BY " + ", ".join(f"{at + 1}{way}" for at in range(len(keys)))
        order += draw(st.sampled_from(["", " LIMIT 3", " LIMIT 4 OFFSET 2", " LIMIT 0"]))
        ordered = True
    select = ", ".join(items)
    return f"{with_}SELECT {select} FROM {source}{where}{by}{having}{order}", ordered


@st.composite
def ungrouped(draw: st.DrawFn) -> tuple[str, bool]:
    items = draw(st.lists(st.one_of(KEYS, ANY), min_size=1, max_size=4))
    distinct = draw(st.booleans())
    if not distinct and draw(st.booleans()):
        items.insert(draw(st.integers(0, 1)), "*")
    if draw(st.booleans()):
        items = [i if i == "*" else f"{i} AS c{at}" for at, i in enumerate(items)]
    where = draw(st.one_of(st.just(""), st.builds(" WHERE {}".format, CONDITIONS)))
    order, ordered = "", False
    if draw(st.booleans()):
        limit = draw(st.sampled_from(["", " LIMIT 5", " LIMIT 7 OFFSET 3"]))
        if distinct:
            order = f" ORDER BY {', '.join(str(at + 1) for at in range(len(items)))}{limit}"
        else:
            order = f" ORDER BY {draw(ANY)} DESC, id{limit}"
        ordered = True
    source = "input" if ordered else draw(SOURCES)
    select = "DISTINCT " * distinct + ", ".join(items)
    return f"SELECT {select} FROM {source}{where}{order}", ordered


@st.composite
def windowed(draw: st.DrawFn) -> tuple[str, bool]:
    function = draw(st.sampled_from(["row_number()", "sum(x)", "lag(x)", "rank()", "avg(f)"]))
    by = draw(st.sampled_from(["a", "b", "a, b", "odd"]))
    qualify = draw(st.sampled_from(["", " QUALIFY n < 3", " QUALIFY n IS NOT NULL"]))
    items = draw(st.sampled_from(["id", "*", "a, id"]))
    query = f"SELECT {items}, {function} OVER (PARTITION BY {by} ORDER BY id) AS n FROM input"
    return f"{query}{qualify} ORDER BY id", True


NAMES = st.sampled_from(["a", "b", "B", "x", "m", "id", "odd", "k", "v"])
EXACT = st.sampled_from(
    ["count(*)", "sum(x)", "max(m)", "min(a)", "avg(id)", "count(DISTINCT b)", "sum(b) + max(id)"]
)
COLUMN_EXPRESSIONS = st.sampled_from(["a", "b", "x % 3", "-b", "b + 1", "lower(a)", "id % 7", "m"])


@st.composite
def named_like_columns(draw: st.DrawFn) -> tuple[str, bool]:
    """Draw a query whose aliases are also columns; ordered by all that it selects."""
    keys = draw(st.lists(COLUMN_EXPRESSIONS, max_size=2, unique=True))
    values = draw(st.lists(EXACT, min_size=1, max_size=3))
    aliases = [draw(st.one_of(st.just(""), NAMES, NAMES)) for _ in [*keys, *values]]
    items = [f"{e} AS {n}" if n else e for e, n in zip([*keys, *values], aliases, strict=True)]
    if draw(st.booleans()):
        items.append(draw(st.sampled_from(["{} + 1", "sum({})", "-{} AS id"])).format(draw(NAMES)))
    by_name = [name or key for key, name in zip(keys, aliases, strict=False)]
    positions = [str(at + 1) for at in range(len(keys))]
    by = ", ".join(draw(st.sampled_from([keys, by_name, positions, ["ALL"]])))
    text = f"SELECT {', '.join(items)} FROM input"
    name = draw(NAMES)
    text += draw(st.sampled_from(["", "", f" WHERE {name} > 1", " WHERE ok"]))
    text += f" GROUP BY {by}" if keys else ""
    having = ["", "", f" HAVING {name} > 1", f" HAVING abs({name}) > 2", f" HAVING sum({name}) > 9"]
    text += draw(st.sampled_from(having))
    first = draw(
        st.sampled_from(["", f"{name}, ", f"-{name}, ", f"{name} DESC, ", f"max({name}), "])
    )
    order = ", ".join(str(at + 1) for at in range(len(items)))
    return f"{text} ORDER BY {first}{order}{draw(st.sampled_from(['', ' LIMIT 4']))}", True


@st.composite
def rows_named_like_columns(draw: st.DrawFn) -> tuple[str, bool]:
    """Draw a query without groups whose aliases are also columns."""
    name, other = draw(NAMES), draw(NAMES)
    window = f"row_number() OVER (PARTITION BY {draw(NAMES)} ORDER BY id)"
    value = draw(st.sampled_from([window, window, "-x", "b + 1", "x % 3"]))
    items = draw(
        st.sampled_from(["*", "id", "a, id", f"{other} + 1 AS {other}", f"{other}, x AS q"])
    )
    where = draw(st.sampled_from(["", "", f" WHERE {other} > 2"]))
    qualify = draw(st.sampled_from(["", f" QUALIFY {name} < 3", f" QUALIFY -{other} < 9"]))
    first = draw(st.sampled_from([name, f"-{name}", f"{other} + 1", other]))
    limit = draw(st.sampled_from(["", " LIMIT 5"]))
    select = f"SELECT {items}, {value} AS {name} FROM input{where}{qualify}"
    return f"{select} ORDER BY {first}, input.id{limit}", True


@pytest.fixture(scope="module")
def rows(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return con.sql(MAKE_ROWS).to_arrow_table()


QUERY = st.one_of(grouped(), grouped(), ungrouped(), windowed())
LIKE_COLUMNS = st.one_of(named_like_columns(), named_like_columns(), rows_named_like_columns())


@dataclass(frozen=True)
class Case:
    """A query, whether its rows have an order, and how it is split and its rows are cut."""

    query: tuple[str, bool]
    batches: int
    reducers: int
    combining: Combining
    is_known: bool


def cases(queries: st.SearchStrategy[tuple[str, bool]]) -> st.SearchStrategy[Case]:
    cuts = st.sampled_from([(1, 1), (2, 2), (7, 5), (7, 1)])
    return st.builds(
        lambda query, cut, combining, is_known: Case(query, cut[0], cut[1], combining, is_known),
        queries,
        cuts,
        st.sampled_from(Combining),
        st.booleans(),
    )


def compare(con: duckdb.DuckDBPyConnection, rows: pa.Table, case: Case) -> None:
    text, ordered = case.query
    parsed = parse_query(text)
    check_serialized(con, text)
    try:
        plain = run(con, text, rows)
    except duckdb.Error:
        return
    known = rows.column_names if case.is_known else None
    steps = split(parsed, columns=known, combining=case.combining)
    found = run_steps(con, steps, rows, batches=case.batches, reducers=case.reducers)
    assert not differences(con, plain, found, ordered=ordered), f"{text}\n{steps}"


same_every_time = settings(max_examples=300, derandomize=True)


@same_every_time
@given(case=cases(QUERY))
def test_any_query_in_steps_gives_what_duckdb_gives(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, case: Case
) -> None:
    compare(con, rows, case)


@same_every_time
@given(case=cases(LIKE_COLUMNS))
def test_any_query_with_aliases_like_columns_gives_what_duckdb_gives(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, case: Case
) -> None:
    compare(con, rows, case)


@pytest.mark.long
@pytest.mark.timeout(1200)
@settings(max_examples=MANY)
@given(case=cases(st.one_of(QUERY, LIKE_COLUMNS)))
def test_many_more_queries_in_steps_give_what_duckdb_gives(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, case: Case
) -> None:
    compare(con, rows, case)
