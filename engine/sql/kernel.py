"""The steps of a job in SQL, run on one connection: map a batch, reduce a partition, finish.

As pure as the steps of Python programs: what they read has been made the table ``input``, what they
give is Arrow or a result file. Whatever DuckDB raises leaves here as a ``TaskError`` that names the
step and, for bad data, the file; never a path of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from engine.errors import FanfoldError, RecordError, ResourceError, SqlError
from engine.sql.query import parameters_of
from engine.sql.sandbox import identifier
from engine.sql.split.steps import SqlSteps, scanning_twice
from engine.sql.tables import INPUT

_ROWS_AT_ONCE: Final = 128 * 1024
_OWNER: Final = "__partition"
_MAX_MESSAGE_LENGTH: Final = 1_000
_BAD_DATA: Final = re.compile(
    r"CSV Error|Malformed JSON|Invalid unicode|not valid UTF|JSON transform error|"
    r"Error when sniffing|magic bytes|TProtocolException|Parquet|Snappy|ZSTD"
)
_NO_MEMORY: Final = re.compile(
    r"Out of Memory|failed to allocate|bad_alloc|maximum total string size"
)
_NO_SPACE: Final = re.compile(r"max_temp_directory_size|No space left on device")

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


@contextmanager
def blamed(step: str, names: Mapping[str, str], *, cause: Any = None) -> Iterator[None]:
    """Turn what DuckDB raises into an error of ours.

    Args:
        step: What was run, for the message.
        names: Paths that DuckDB may mention, with what callers know them by.
        cause: Returns the error that DuckDB was given by one of our own readers, if any.

    Raises:
        RecordError: The data is at fault.
        ResourceError: It needs more memory or space than a task may have.
        SqlError: The query fails on the data.
    """
    try:
        yield
    except FanfoldError:
        raise
    except (duckdb.OutOfMemoryException, MemoryError) as exc:
        raise _exhausted(step, exc) from exc
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        own = cause() if cause is not None else None
        if own is not None:
            raise own from exc
        if _NO_SPACE.search(str(exc)) or _NO_MEMORY.search(str(exc)):
            raise _exhausted(step, exc) from exc
        text = _without_paths(str(exc), names)
        is_data = any(path in str(exc) for path in names) or _BAD_DATA.search(text)
        kind = RecordError if is_data else SqlError
        raise kind(f"{step}: {text}"[:_MAX_MESSAGE_LENGTH]) from exc


def _exhausted(step: str, error: BaseException) -> ResourceError:
    what = "space on disk" if _NO_SPACE.search(str(error)) else "memory"
    return ResourceError(f"{step} needs more {what} than a task may have")


def _without_paths(text: str, names: Mapping[str, str]) -> str:
    blamed_on = {names[path] for path in names if path in text}
    for path in sorted(names, key=len, reverse=True):
        text = text.replace(path, names[path])
    text = text.partition("\n\nPossible")[0].partition("\n\nLINE ")[0]
    text = re.sub(r"\n\s*file\s*=\s*", "\n  file = ", text)
    if blamed_on and not any(name in text for name in blamed_on):
        return f"{', '.join(sorted(blamed_on))}: {text}"
    return text
