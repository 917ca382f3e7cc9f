"""Where and why a query does not fit, as its author reads it."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from engine.sql.fault import told


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("CREATE TABLE input AS SELECT 1 AS amount, 'Oslo' AS city")
        yield con


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT amuont FROM input", 'line 1, column 8: Binder Error: Referenced column "amuont"'),
        (
            "SELECT 1,\n  amuont\nFROM input",
            'line 2, column 3: Binder Error: Referenced column "amuont"',
        ),
        ("SELECT sinn(1) FROM input", "line 1, column 8: Catalog Error: Scalar Function"),
        ("SELECT " + "1, " * 200 + "amuont FROM input", "line 1: Binder Error: Referenced column"),
        ("SELECT city + 1 FROM input", "line 1, column 13: Binder Error: No function matches"),
    ],
)
def test_a_fault_is_told_with_its_place(
    connection: duckdb.DuckDBPyConnection, query: str, words: str
) -> None:
    with pytest.raises(duckdb.Error) as raised:
        connection.sql(query)

    message = told(connection, query, {}, raised.value)

    assert message.startswith(words)
    assert "LINE" not in message
    assert len(message) < 300


def test_what_explaining_does_not_show_is_told_as_it_was(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    error = duckdb.InvalidInputException("Invalid Input Error: something else")

    assert told(connection, "SELECT city FROM input", {}, error) == str(error)
