"""How much a map step would make its rows fewer, estimated from a sample of the source.

Grouping in map pays where keys repeat within a batch, and costs where they hardly do. A sample
tells by how often keys repeat in it: of N keys that are equally likely, n rows show about
N · (1 - exp(-n / N)). Where keys come unevenly or sorted, fewer are expected than there are, and
map then groups, which is what it would do without a sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb

from engine.batch import Batch, Compression, FileSlice
from engine.errors import FanfoldError
from engine.plan import large_batches
from engine.source.basket import Basket
from engine.source.cut import cut_files
from engine.source.sources import Sources
from engine.source.store import SourceFile
from engine.spec import DataFormat, LayoutSpec
from engine.sql.job import TableShape
from engine.sql.query import parameters_of
from engine.sql.sandbox import identifier
from engine.sql.split.steps import SqlSteps
from engine.sql.tables import InputTable

SAMPLED_FROM_BYTES: Final = 64 * 1024 * 1024
SAMPLE_BYTES: Final = 1024 * 1024
SAMPLE_ROWS: Final = 100_000
_WORKERS: Final = 2  # no fewer share a large source, as a rule


class Reduction:
    """Estimates on one connection what is left of the rows of a map task.

    Args:
        connection: A locked connection.
        sources: Where the files are.
        scratch: A folder for what has to be brought to this machine.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, sources: Sources, scratch: Path
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._scratch = scratch

    def share(
        self,
        steps: SqlSteps,
        files: Sequence[SourceFile],
        *,
        layout: LayoutSpec,
        shape: TableShape,
        params: Mapping[str, Any],
    ) -> float | None:
        """Return the expected share of rows that differ in the columns that *steps* partition by.

        Args:
            steps: Their map combines nothing.
            files: Of the source, one at least.
            layout: How they are laid out.
            shape: Of the table ``input``.
            params: Values of ``$name``.

        Returns:
            From 0 to 1; None where a sample is not worth its cost or cannot be had.
        """
        total_bytes = sum(file.size_bytes for file in files)
        if total_bytes < SAMPLED_FROM_BYTES or not steps.partition_by:
            return None
        try:
            with self._sample(files[len(files) // 2], layout, shape) as batch:
                if batch is None:
                    return None
                rows, seen, distinct = self._counted(steps, params)
        except (FanfoldError, duckdb.Error):
            return None  # whatever is wrong with the data, the job itself will tell
        task_bytes = total_bytes / large_batches(total_bytes, workers=_WORKERS)
        return expected_share(seen, distinct, of=rows * task_bytes / batch.size_bytes)

    @contextmanager
    def _sample(
        self, file: SourceFile, layout: LayoutSpec, shape: TableShape
    ) -> Iterator[Batch | None]:
        """Have ``input`` stand for the beginning of *file*, if that can be had for little."""
        basket = Basket(max_bytes=SAMPLE_BYTES)
        batch = next(islice(cut_files([file], layout, basket, self._sources), 1), None)
        if batch is None or not all(self._is_cheap(part) for part in batch.slices):
            yield None
            return
        table = InputTable(
            self._connection,
            sources=self._sources,
            layout=layout,
            shape=shape,
            scratch=self._scratch,
        )
        with table.bound(batch):
            yield batch

    def _is_cheap(self, part: FileSlice) -> bool:
        if part.format is DataFormat.PARQUET:
            return self._sources.local_path(part.path) is not None
        return part.compression is Compression.NONE and part.size_bytes <= 2 * SAMPLE_BYTES

    def _counted(self, steps: SqlSteps, params: Mapping[str, Any]) -> tuple[int, int, int]:
        """Return how many rows map makes of ``input``, how many were seen, and how many differ."""
        keys = ", ".join(map(identifier, steps.partition_by))
        named = {name: params[name] for name in parameters_of(steps.map)}
        found = self._connection.execute(
            f"WITH __keys AS MATERIALIZED (SELECT {keys} FROM ({steps.map})),"
            f" __seen AS (FROM __keys LIMIT {SAMPLE_ROWS})"
            " SELECT (SELECT count(*) FROM __keys), (SELECT count(*) FROM __seen),"
            " (SELECT count(*) FROM (SELECT DISTINCT * FROM __seen))",
            named,
        ).fetchone()
        assert found is not None  # noqa: S101 - a SELECT of counts has one row
        return found[0], found[1], found[2]


def expected_share(seen: int, distinct: int, *, of: float) -> float:
    """Return the share of distinct keys to be expected among more rows than were seen.

    Args:
        seen: Rows of the sample.
        distinct: Keys among them.
        of: Number of rows that the share is wanted of.
    """
    if of <= 0 or not seen:
        return 0.0
    if distinct >= seen:
        return 1.0
    low, high = float(distinct), float(seen) * seen
    while high / low > 1.01:
        keys = math.sqrt(low * high)
        low, high = (low, keys) if _distinct_of(keys, seen) > distinct else (keys, high)
    return min(1.0, _distinct_of(low, of) / of)


def _distinct_of(keys: float, rows: float) -> float:
    return -keys * math.expm1(-rows / keys)
