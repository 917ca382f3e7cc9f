"""The rows of one batch in a table of their own, so that some of them can be run apart.

Reading a file again for every half of its rows would cost more than the query itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from engine.batch import Batch, FileSlice
from engine.source.read import BatchReader
from engine.source.salvage import Report
from engine.source.sources import Sources
from engine.spec import DataFormat, LayoutSpec
from engine.sql.blame import blamed
from engine.sql.sieve import Sieve
from engine.sql.tables import INPUT, InputTable

_ROWS: Final = "__batch_rows"
_NUMBER: Final = "__row_number_of_batch"

Missing = tuple[int, ...]


class BatchRows:
    """The rows of a batch that can be read, numbered from 0.

    Args:
        connection: Holds the table.
        batch: Where the rows come from.
        sources: Where the files are.
        layout: How the files are laid out.

    Attributes:
        count: How many there are.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        *,
        sources: Sources,
        layout: LayoutSpec,
    ) -> None:
        self._connection = connection
        self._batch = batch
        self._sources = sources
        self._reader = BatchReader(sources, layout)
        self._parts: list[tuple[FileSlice | None, Missing]] = []
        self._firsts: list[int] = []
        self.count = 0

    @contextmanager
    def kept(self, table: InputTable, *, scratch: Path, report: Report) -> Iterator[None]:
        """Have the table for as long as the context is open.

        Args:
            table: Reads batches.
            scratch: A folder for temporary data.
            report: Is told of what cannot be read.

        Raises:
            SourceError: A file cannot be read, or is not the one that was planned.
            TaskError: Even what could be read does not fit together.
        """
        sieve = Sieve(scratch, self._run_to_its_end, report, [])
        try:
            with table.sifted(self._batch, sieve) as sifted, blamed("map", sifted.names):
                self._execute(
                    f"CREATE TEMP TABLE {_ROWS} AS "
                    f"SELECT *, 0::BIGINT AS {_NUMBER} FROM ({sifted.nothing})"
                )
                for part, query in sifted.parts:
                    self._add(part, query, tuple(sieve.dropped))
            yield
        finally:
            self._execute(f"DROP VIEW IF EXISTS {INPUT}")
            self._execute(f"DROP TABLE IF EXISTS {_ROWS}")

    def choose(self, numbers: range) -> None:
        """Have ``input`` stand for some consecutive rows."""
        self._show(f"{_NUMBER} BETWEEN {numbers.start} AND {numbers.stop - 1}")

    def leave_out(self, numbers: Iterable[int]) -> None:
        """Have ``input`` stand for all rows but some."""
        listed = ", ".join(map(str, numbers))
        self._show(f"{_NUMBER} NOT IN ({listed})" if listed else "true")

    def preview(self, number: int) -> bytes:
        """Return a row as JSON."""
        row = f"SELECT * EXCLUDE ({_NUMBER}) FROM {_ROWS} WHERE {_NUMBER} = {number}"
        found = self._execute(f"SELECT to_json(__row)::VARCHAR FROM ({row}) AS __row").fetchone()
        return b"" if found is None else str(found[0]).encode("utf-8", "replace")

    def place_of(self, number: int) -> str:
        """Return where a row came from: exactly, where its part begins where its file does."""
        at = bisect_right(self._firsts, number) - 1
        part, missing = self._parts[at]
        row = number - self._firsts[at]
        for gone in missing:
            row += gone <= row
        if part is not None:
            return _row_place(part, self._sources.name_of(part.path), row)
        return str(self._reader.place_of(self._batch, row))

    def _add(self, part: FileSlice | None, query: str, missing: Missing) -> None:
        added = self._execute(
            f"INSERT INTO {_ROWS} SELECT *, row_number() OVER () - 1 + {self.count} FROM ({query})"
        ).fetchone()
        self._parts.append((part, missing))
        self._firsts.append(self.count)
        self.count += 0 if added is None else int(added[0])

    def _show(self, condition: str) -> None:
        self._execute(
            f"CREATE OR REPLACE TEMP VIEW {INPUT} AS "
            f"SELECT * EXCLUDE ({_NUMBER}) FROM {_ROWS} WHERE {condition}"
        )

    def _run_to_its_end(self, query: str, names: Mapping[str, str]) -> None:
        with blamed("map", names):
            for _ in self._connection.sql(query).to_arrow_reader():
                pass

    def _execute(self, statement: str) -> duckdb.DuckDBPyConnection:
        return self._connection.execute(statement)


def _row_place(part: FileSlice, name: str, row: int) -> str:
    if part.format is DataFormat.PARQUET and part.groups is not None and part.groups[0]:
        return f"{name}, row {row} of row groups {part.groups[0]} to {part.groups[1]}"
    if part.format is not DataFormat.PARQUET and part.start:
        return f"{name}, row {row} of bytes {part.start} to {part.end}"
    return f"{name}, row {row}"
