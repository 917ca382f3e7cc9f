"""What a query is split into."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Combining(Enum):
    """What map makes fewer before its rows travel; it pays where keys repeat within a batch."""

    NOTHING = "the needed columns of each row"
    GROUPS = "one row of partial aggregates for each group"
    VALUES = "the same, and each value that is to be counted once only once"


@dataclass(frozen=True, slots=True)
class SqlSteps:
    """The steps of a query, each a SELECT over a table ``input`` of its own.

    Between steps rows travel as Arrow with DuckDB's ``arrow_lossless_conversion``; without it,
    HUGEINT, UUID, BIT and TIMETZ would come back as other types.

    Attributes:
        map: Over the rows of one batch.
        partition_by: Columns of map's rows; rows that are equal in them (NULL equals NULL, -0.0
            equals 0.0, NaN equals NaN) must meet in one reduce task. The names are SQL identifiers:
            case does not matter. Empty with a reduce: one task reduces all rows.
        reduce: Over all of map's rows of one partition; None if there is nothing to reduce.
        finish: Over all rows of reduce, or of map without it; None if these are the result.
        supports_partial: Whether reduce and finish over the map rows of some batches tell the
            answer for these batches.
    """

    map: str
    partition_by: tuple[str, ...] = ()
    reduce: str | None = None
    finish: str | None = None
    supports_partial: bool = True


ROWS = "__r"
ONE_SCAN = f"WITH {ROWS} AS MATERIALIZED ("
"""How a map step begins that reads ``input`` once and uses what it needs of it several times."""


def scanning_twice(map_: str) -> str:
    """Return a map step that reads ``input`` anew for each use of these rows.

    Cheaper where the needed columns are read for next to nothing, as in Parquet.
    """
    if not map_.startswith(ONE_SCAN):
        return map_
    return map_.replace(" AS MATERIALIZED (", " AS NOT MATERIALIZED (", 1)


class CannotSplit(Exception):
    """It is not proven that the parts would give the same answer; the message says why."""
