"""How much a map step would make its rows fewer, estimated from a sample of the source.

Grouping in map pays where keys repeat within a batch, and costs where they hardly do; also where
there are so many that every row misses the processor's caches, while the partitions of a shuffle
fit. A sample tells by how often keys repeat in it: of N keys that are equally likely, n rows show
about N · (1 - exp(-n / N)). Where keys come unevenly or sorted, fewer are expected than there are,
and map then groups, which is what it would do without a sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb

from engine.batch import Batch, Compression, FileSlice
from engine.errors import FanfoldError
from engine.plan import large_batches
from engine.source.basket import Basket
from engine.source.cut import cut_files
from engine.source.file import SourceFile
from engine.source.sources import Sources
from engine.spec import DataFormat, LayoutSpec
from engine.sql.job import TableShape
from engine.sql.query import parameters_of
from engine.sql.recent import Recent
from engine.sql.sandbox import identifier
from engine.sql.split.steps import SqlSteps
from engine.sql.tables import InputTable

SAMPLED_FROM_BYTES: Final = 64 * 1024 * 1024
SAMPLE_BYTES: Final = 1024 * 1024
SAMPLE_ROWS: Final = 100_000
WORTH_SHARE: Final = 0.5
MANY_GROUPS: Final = 1_000_000
WORTH_SHARE_OF_MANY: Final = 0.1
_WORKERS: Final = 2  # no fewer share a large source, as a rule


@dataclass(frozen=True, slots=True)
class Reduced:
    """What a map task is expected to make of its rows when it groups them.

    Attributes:
        rows: That it has to group.
        groups: That are left.
    """

    rows: float
    groups: float

    @property
    def is_worth_it(self) -> bool:
        """Whether grouping in map saves more than it costs."""
        share = WORTH_SHARE if self.groups < MANY_GROUPS else WORTH_SHARE_OF_MANY
        return self.groups < share * self.rows


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a sample shows: rows that map makes of a byte, and how many of those seen differ."""

    rows_per_byte: float
    seen: int
    distinct: int


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
        self._seen: Recent[_Counted | None] = Recent()

    def expected(
        self,
        steps: SqlSteps,
        files: Sequence[SourceFile],
        *,
        layout: LayoutSpec,
        shape: TableShape,
        params: Mapping[str, Any],
    ) -> Reduced | None:
        """Return what grouping by *steps*' keys would leave of a map task's rows.

        Args:
            steps: Their map combines nothing.
            files: Of the source, one at least.
            layout: How they are laid out.
            shape: Of the table ``input``.
            params: Values of ``$name``.

        Returns:
            None where a sample is not worth its cost or cannot be had.
        """
        total_bytes = sum(file.size_bytes for file in files)
        if total_bytes < SAMPLED_FROM_BYTES or not steps.partition_by:
            return None
        file = files[len(files) // 2]
        try:
            counted = self._seen.answer(
                (steps.map, steps.partition_by, repr(params), file, layout.model_dump_json()),
                lambda: self._looked_at(steps, file, layout, shape, params),
            )
        except (FanfoldError, duckdb.Error):
            return None  # whatever is wrong with the data, the job itself will tell
        if counted is None or not counted.seen:
            return None
        task_bytes = total_bytes / large_batches(total_bytes, workers=_WORKERS)
        task_rows = counted.rows_per_byte * task_bytes
        share = expected_share(counted.seen, counted.distinct, of=task_rows)
        return Reduced(task_rows, task_rows * share)

    def _looked_at(
        self,
        steps: SqlSteps,
        file: SourceFile,
        layout: LayoutSpec,
        shape: TableShape,
        params: Mapping[str, Any],
    ) -> _Counted | None:
        with self._sample(file, layout, shape) as batch:
            return None if batch is None else self._counted(steps, params, batch.size_bytes)

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

    def _counted(self, steps: SqlSteps, params: Mapping[str, Any], size_bytes: int) -> _Counted:
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
        rows, seen, distinct = found
        return _Counted(rows / size_bytes, seen, distinct)


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
