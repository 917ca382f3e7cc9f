"""A batch as one Arrow table, for programs in Python that want columns."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from engine.batch import Batch
from engine.source.sources import Sources
from engine.source.store import SourceFile
from engine.spec import LayoutSpec
from engine.sql.columns import ShapeFinder, sample_of
from engine.sql.kernel import blamed
from engine.sql.tables import INPUT, InputTable


def read_table(batch: Batch, *, sources: Sources, layout: LayoutSpec, scratch: Path) -> pa.Table:
    """Return the records of *batch* with typed columns; text has one column, ``line``.

    Types are found in the heads of the batch's own files, so one batch may have integers where
    another has floats.

    Raises:
        SourceError: A file cannot be read, or is not the one that was planned.
        RecordError: A file is not what its format says.
    """
    with duckdb.connect(config={"threads": 1, "python_enable_replacements": False}) as connection:
        connection.execute("SET enable_progress_bar = false")
        finder = ShapeFinder(connection, sources=sources, scratch=scratch)
        if batch.items is not None:
            shape = finder.of_items(batch.items)
        else:
            shape = finder.of_files(sample_of(_files_of(batch)), layout)
        table = InputTable(connection, sources=sources, layout=layout, shape=shape, scratch=scratch)
        with table.bound(batch) as bound, blamed("map", bound.names, cause=bound.cause):
            return connection.sql(f"SELECT * FROM {INPUT}").to_arrow_table()


def _files_of(batch: Batch) -> list[SourceFile]:
    return [SourceFile(part.path, part.end, part.version) for part in batch.slices]
