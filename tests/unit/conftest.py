"""What tests of SQL share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import duckdb


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection as a task has it, for the tests of one file."""
    # Only here: DuckDB takes a while to load, and most tests do without.
    from tests.support.sql_runner import connect

    with connect() as connection:
        yield connection
