"""The table ``input`` of a map task: the records of its batch, with the columns of the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from engine.batch import Batch, FileSlice
from engine.errors import FanfoldError, RecordError, SqlError
from engine.source.hive import hive_columns
from engine.source.salvage import Unreadable
from engine.source.sources import Sources
from engine.spec import DataFormat, LayoutSpec
from engine.sql.blame import blamed
from engine.sql.gathering import Gathering
from engine.sql.job import TableShape
from engine.sql.lines import LineStream
from engine.sql.refusal import INPUT
from engine.sql.sandbox import identifier, literal
from engine.sql.scans import ItemScan, scans_of
from engine.sql.sieve import Sieve, as_record_error

Folders = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class BoundInput:
    """The table ``input`` while it is there.

    Attributes:
        counted: Number of records, as far as they can be counted without parsing them, but for
            those of *lines*.
        names: Scratch and disk paths that may show up in DuckDB's messages, with what callers
            know them by.
        lines: Readers of ours that may have failed in a scan.
    """

    counted: int
    names: dict[str, str]
    lines: tuple[LineStream, ...]

    @property
    def items(self) -> int:
        """Number of records; cheaper when the table has been read to its end."""
        return self.counted + sum(stream.count() for stream in self.lines)

    def cause(self) -> FanfoldError | None:
        """Return what went wrong in one of our own readers, which DuckDB does not pass on."""
        return next((stream.failure for stream in self.lines if stream.failure), None)


@dataclass(frozen=True, slots=True)
class SiftedBatch:
    """What can be read of a batch.

    Attributes:
        parts: A query for each slice with records, or for all items; each is to be used before the
            next.
        nothing: A query for no records, with the same columns.
        names: As in ``BoundInput``.
    """

    parts: Iterator[tuple[FileSlice | None, str]]
    nothing: str
    names: dict[str, str]


class InputTable:
    """Makes ``input`` out of batches of one job, on one connection."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        sources: Sources,
        layout: LayoutSpec,
        shape: TableShape,
        scratch: Path,
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._shape = shape
        self._scratch = scratch
        self._scans = scans_of(layout, shape)
        self._items = ItemScan(layout, shape)

    @contextmanager
    def bound(self, batch: Batch) -> Iterator[BoundInput]:
        """Have ``input`` stand for *batch* while the context is open.

        Raises:
            SourceError: A file cannot be read, or is not the one that was planned.
            RecordError: A file is not what its format says.
        """
        with ExitStack() as stack:
            gathering = Gathering(
                self._connection, sources=self._sources, scratch=self._scratch, stack=stack
            )
            with blamed("map", gathering.names):  # DuckDB looks into the files
                queries = list(self._queries(batch, gathering))
                body = " UNION ALL ".join(queries) or self._nothing()
                self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {INPUT} AS {body}")
            stack.callback(self._connection.execute, f"DROP VIEW IF EXISTS {INPUT}")
            yield BoundInput(
                counted=gathering.items, names=gathering.names, lines=tuple(gathering.lines)
            )

    @contextmanager
    def sifted(self, batch: Batch, sieve: Sieve) -> Iterator[SiftedBatch]:
        """Give one query for each part of *batch*, over what can be read of it.

        Args:
            batch: The batch.
            sieve: Is told of everything else, as the parts are asked for.
        """
        with ExitStack() as stack:
            gathering = Gathering(
                self._connection,
                sources=self._sources,
                scratch=self._scratch,
                stack=stack,
                sieve=sieve,
            )
            yield SiftedBatch(
                parts=self._sifted_parts(batch, gathering, sieve),
                nothing=self._nothing(),
                names=gathering.names,
            )

    def _sifted_parts(
        self, batch: Batch, gathering: Gathering, sieve: Sieve
    ) -> Iterator[tuple[FileSlice | None, str]]:
        if batch.items is not None:
            sieve.dropped = []
            query = self._items.of_batch(batch, gathering)
            yield None, self._shaped(query, {}, "inline", is_sparse=True)
            return
        for part in batch.slices:
            sieve.dropped = []
            name = self._sources.name_of(part.path)
            scan = self._scans[part.format]
            _, folders = self._kind_of(part)
            try:
                queries = list(scan.queries([part], gathering))
                if not queries:
                    continue
                (found,) = queries
                query = self._shaped(found, dict(folders), name, is_sparse=scan.is_sparse)
                if part.format is DataFormat.PARQUET:
                    sieve.run(query, gathering.names)
            except (RecordError, SqlError) as exc:
                sieve.report(Unreadable(part.place(name), b"", as_record_error(exc)))
                continue
            yield part, query

    @contextmanager
    def bound_to_nothing(self) -> Iterator[None]:
        """Have ``input`` stand for no records, with the columns of the job."""
        with self.bound(Batch()):
            yield

    def _queries(self, batch: Batch, gathering: Gathering) -> Iterator[str]:
        if batch.items is not None:
            yield self._items.of_batch(batch, gathering)
            return
        for (format_, folders), slices in groupby(batch.slices, key=self._kind_of):
            group = list(slices)
            name = self._sources.name_of(group[0].path)
            scan = self._scans[format_]
            for query in scan.queries(group, gathering):
                yield self._shaped(query, dict(folders), name, is_sparse=scan.is_sparse)

    def _kind_of(self, part: FileSlice) -> tuple[DataFormat, Folders]:
        if not self._shape.folder_columns:
            return part.format, ()
        return part.format, tuple(hive_columns(self._sources.name_of(part.path)).items())

    def _shaped(self, query: str, folders: dict[str, Any], file: str, *, is_sparse: bool) -> str:
        """Give *query* the columns of the job, in their order and with their types.

        Args:
            query: Over files of one format, of which *file* is the first.
            folders: What their folders' names say.
            file: For messages.
            is_sparse: Whether a column that is not there is null.
        """
        relation = self._connection.sql(query)
        found = dict(zip(relation.columns, map(str, relation.types), strict=True))
        if list(found.items()) == list(self._shape.every_column):
            return query
        columns = []
        for name, kind in self._shape.every_column:
            if name in found:
                value = identifier(name)
            elif name in folders:
                value = "NULL" if folders[name] is None else literal(str(folders[name]))
            elif is_sparse:
                value = "NULL"
            else:
                raise RecordError(f"{file}: has no column {name!r}; it has {', '.join(found)}")
            columns.append(
                f"{value} AS {identifier(name)}"
                if found.get(name) == kind
                else f"CAST({value} AS {kind}) AS {identifier(name)}"
            )
        return f"SELECT {', '.join(columns)} FROM ({query})"

    def _nothing(self) -> str:
        columns = ", ".join(
            f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in self._shape.every_column
        )
        return f"SELECT {columns or 'NULL AS line'} WHERE false"


__all__ = ["INPUT", "BoundInput", "InputTable", "SiftedBatch"]
