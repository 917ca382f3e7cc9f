"""A program in SQL, registered on the server under a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.program import Registered


@dataclass(frozen=True, kw_only=True)
class SqlProgram(Registered):
    """A map-reduce in SQL: one query that Fanfold splits, or the steps themselves.

    Every step is a DuckDB ``SELECT`` over the table ``input``, sandboxed like a caller's query.
    Parameters are bound to ``$name``.

    Attributes:
        query: One query over the source.
        map: Instead of *query*: over the records of a batch.
        partition_by: Columns of map's rows; rows that are equal in them meet in one reduce task.
            None at all: there is one reduce task.
        reduce: Over all map rows of one partition. Without it, map's rows are the result.
        finish: Over all rows of every reduce task, or of map; for ordering and limiting.
    """

    query: str | None = None
    map: str | None = None
    partition_by: Sequence[str] = ()
    reduce: str | None = None
    finish: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "partition_by", tuple(self.partition_by))
        if (self.query is None) == (self.map is None):
            raise ValueError(f"program {self.name}: give exactly one of query and map")
        if self.query is not None and (self.partition_by or self.reduce or self.finish):
            raise ValueError(f"program {self.name}: the query has every step; give it alone")
        if self.partition_by and self.reduce is None:
            raise ValueError(f"program {self.name}: partition_by needs a reduce")
