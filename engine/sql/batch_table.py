"""A batch as one Arrow table, for programs in Python that want columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from engine.batch import Batch
from engine.source.file import SourceFile
from engine.source.salvage import Report
from engine.source.sources import Sources
from engine.spec import LayoutSpec
from engine.sql.batch_rows import BatchRows
from engine.sql.blame import blamed
from engine.sql.columns import ShapeFinder
from engine.sql.job import TableShape
from engine.sql.tables import INPUT, InputTable

_NOTHING: Final = pa.table({})


def read_table(batch: Batch, *, sources: Sources, layout: LayoutSpec, scratch: Path) -> pa.Table:
    """Return the records of *batch* with typed columns; text has one column, ``line``.

    Where there is no record, and nothing else that tells of columns, there are none.

    Types are found in the heads of the batch's own files, so one batch may have integers where
    another has floats.

    Raises:
        SourceError: A file cannot be read, or is not the one that was planned.
        RecordError: A file is not what its format says.
    """
    with _connected() as connection:
        finder = ShapeFinder(connection, sources=sources, scratch=scratch)
        shape = _shape_of(batch, layout, finder)
        if shape is None:
            return _NOTHING
        table = InputTable(connection, sources=sources, layout=layout, shape=shape, scratch=scratch)
        with table.bound(batch) as bound, blamed("map", bound.names, cause=bound.cause):
            return connection.sql(f"SELECT * FROM {INPUT}").to_arrow_table()


def read_table_apart(
    batch: Batch, *, sources: Sources, layout: LayoutSpec, scratch: Path, report: Report
) -> tuple[pa.Table, Callable[[int], str]]:
    """Like ``read_table``, without the records that cannot be read.

    Args:
        batch: What to read.
        sources: Where the files are.
        layout: How they are laid out.
        scratch: A folder for temporary data.
        report: Is told of what is left out.

    Returns:
        The table, and what says where a row of it came from.

    Raises:
        SourceError: A file cannot be read, or is not the one that was planned.
        RecordError: Not even the columns can be told.
    """
    with _connected() as connection:
        finder = ShapeFinder(connection, sources=sources, scratch=scratch, is_lenient=True)
        shape = _shape_of(batch, layout, finder)
        if shape is None:
            return _NOTHING, str
        table = InputTable(connection, sources=sources, layout=layout, shape=shape, scratch=scratch)
        rows = BatchRows(connection, batch, sources=sources, layout=layout)
        with rows.kept(table, scratch=scratch, report=report):
            rows.leave_out(())
            return connection.sql(f"SELECT * FROM {INPUT}").to_arrow_table(), rows.place_of


def _connected() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1, "python_enable_replacements": False})
    connection.execute("SET enable_progress_bar = false")
    return connection


def _shape_of(batch: Batch, layout: LayoutSpec, finder: ShapeFinder) -> TableShape | None:
    if batch.items is not None:
        return finder.of_items(batch.items)
    return finder.of_files(_files_of(batch), layout)


def _files_of(batch: Batch) -> list[SourceFile]:
    return [SourceFile(part.path, part.end, part.version) for part in batch.slices]
