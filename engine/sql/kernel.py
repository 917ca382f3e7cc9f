"""The steps of a job in SQL, run on one connection: map a batch, reduce a partition, finish.

As pure as the steps of Python programs: what they read has been made the table ``input``, what they
give is Arrow or a result file. Whatever DuckDB raises leaves here as a ``TaskError`` that names the
step and, for bad data, the file; never a path of this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from engine.sql.query import parameters_of
from engine.sql.sandbox import identifier
from engine.sql.split.steps import SqlSteps, scanning_twice
from engine.sql.tables import INPUT

_ROWS_AT_ONCE: Final = 128 * 1024
_OWNER: Final = "__partition"
Params = Mapping[str, Any]


class SqlKernel:
    """Runs the steps of one job.

    Args:
        connection: A locked connection, on which ``input`` is the table that a step reads.
        steps: What to run.
        params: Values of ``$name`` in any step.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, steps: SqlSteps, params: Params
    ) -> None:
        self._connection = connection
        self._steps = steps
        self._params = params

    def mapped(
        self, *, partitions: int, is_cheap_to_scan: bool = False
    ) -> tuple[pa.Schema, Iterator[_Partitioned]]:
        """Run map on ``input``.

        Args:
            partitions: How many to cut its rows into.
            is_cheap_to_scan: Whether ``input`` may be scanned several times.

        Returns:
            The schema of its rows, and the rows in blocks, each with the partition of every row;
            None for the partitions when all rows belong to the first.

        Raises:
            TaskError: The query fails on the data; also while the rows are iterated.
        """
        map_ = scanning_twice(self._steps.map) if is_cheap_to_scan else self._steps.map
        keys = ", ".join(map(identifier, self._steps.partition_by))
        if partitions == 1 or not keys:
            reader = self.rows(map_)
            return reader.schema, ((block, None) for block in reader)
        reader = self.rows(
            f"SELECT *, (hash({keys}) % {partitions})::USMALLINT AS {_OWNER} FROM ({map_})"
        )
        width = len(reader.schema) - 1
        schema = pa.schema(list(reader.schema)[:width])
        return schema, (_partitioned(block, schema) for block in reader)

    @contextmanager
    def reading(self, tables: Iterable[pa.Table]) -> Iterator[None]:
        """Have ``input`` stand for the rows of *tables*, of which there is at least one."""
        self._connection.register(INPUT, pa.concat_tables(tables))
        try:
            yield
        finally:
            self._connection.unregister(INPUT)

    def params_of(self, query: str) -> dict[str, Any]:
        """Return the parameters that *query* names."""
        return {name: self._params[name] for name in parameters_of(query)}

    def rows(self, query: str) -> pa.RecordBatchReader:
        """Run *query* on ``input`` and return its rows, in blocks."""
        relation = self._connection.sql(query, params=self.params_of(query))
        return relation.to_arrow_reader(_ROWS_AT_ONCE)

    def json_rows(self, query: str) -> Iterator[bytes]:
        """Run *query* on ``input`` and yield each row as a JSON object."""
        rows = self.rows(f"SELECT to_json(__row)::VARCHAR FROM ({query}) AS __row")
        for block in rows:
            for row in block.column(0).to_pylist():
                yield row.encode()


_Partitioned = tuple[pa.RecordBatch, np.ndarray[Any, Any] | None]


def _partitioned(block: pa.RecordBatch, schema: pa.Schema) -> _Partitioned:
    owners = block.column(len(schema)).to_numpy()
    columns = block.columns[: len(schema)]
    return pa.record_batch(columns, schema=schema), owners
