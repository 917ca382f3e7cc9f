"""Writing a result file: from Python rows, from a query, from Arrow.

All three take the blob's name without its suffix, write below *scratch* where it is more than a
little, and hand the finished file to the blob store. Memory does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from engine.attempt import Piece
from engine.blobs import BlobStore
from engine.jsonvalue import decode
from engine.kernel import Row
from engine.output.csv_text import csv_header, csv_line
from engine.output.spool import Spool
from engine.output.suffix import with_suffix
from engine.rows import Columns
from engine.spec import DataFormat

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def write_rows(
    rows: Iterable[Row], *, blobs: BlobStore, name: str, format: DataFormat, scratch: Path
) -> Piece:
    """Write rows of a program.

    A row without some column has null there in CSV and Parquet.

    Raises:
        OutputError: JSON cannot hold one.
    """
    name = with_suffix(name, format)
    with _scratch_file(scratch) as path, Spool(path.with_suffix(".rows")) as spool:
        spool.fill(rows)
        if format is DataFormat.JSONL and spool.path is None:
            return _put(spool.data(), blobs, name, spool.rows, spool.columns)
        if format is DataFormat.JSONL and spool.path is not None:
            path = spool.path
        elif format is DataFormat.CSV:
            _write_csv(spool, path)
        else:
            # Imported late: most results are JSON Lines, and some of those take a few ms in all.
            from engine.output.parquet_write import write_parquet

            write_parquet(spool, path)
        return _taken_over(path, blobs, name, spool.rows, spool.columns)


def write_query(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    params: Mapping[str, Any],
    *,
    blobs: BlobStore,
    name: str,
    format: DataFormat,
    scratch: Path,
) -> Piece:
    """Write the result of a query, in its order; see ``json_sql`` for what becomes of its types.

    Args:
        con: Where the query runs; it may write below *scratch*.
        sql: One SELECT that has been checked.
        params: Values of ``$name``.
        blobs: Where the file goes.
        name: Of the blob, without its suffix.
        format: How to write it.
        scratch: A folder for temporary data.

    Raises:
        duckdb.Error: The query fails.
    """
    from engine.output.query_file import copy_query

    with _scratch_file(scratch) as path:
        rows, columns = copy_query(con, sql, params, path=path, format=format)
        return _taken_over(path, blobs, with_suffix(name, format), rows, columns)


def write_arrow(
    data: pa.Table | pa.RecordBatchReader,
    *,
    blobs: BlobStore,
    name: str,
    format: DataFormat,
    scratch: Path,
) -> Piece:
    """Write the rows of a table, or of a reader that is then used up.

    Raises:
        duckdb.Error: A column cannot be written.
    """
    import duckdb

    with duckdb.connect(config={"threads": 1, "python_enable_replacements": False}) as con:
        con.execute("SET enable_progress_bar = false")
        con.register("given", data)
        return write_query(
            con,
            "SELECT * FROM given",
            {},
            blobs=blobs,
            name=name,
            format=format,
            scratch=scratch,
        )


def _write_csv(spool: Spool, path: Path) -> None:
    names = [name for name, _ in spool.columns]
    kinds = [kind for _, kind in spool.columns]
    with path.open("wb", buffering=256 * 1024) as file:
        file.write(csv_header(spool.columns))
        for line in spool.lines():
            file.write(csv_line([*map(decode(line).get, names)], kinds))


def _put(data: bytes, blobs: BlobStore, name: str, rows: int, columns: Columns) -> Piece:
    blobs.put(name, data)
    return Piece(
        name=name,
        rows=rows,
        size_bytes=len(data),
        sha256=sha256(data).hexdigest(),
        columns=columns,
    )


def _taken_over(path: Path, blobs: BlobStore, name: str, rows: int, columns: Columns) -> Piece:
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    size_bytes = path.stat().st_size
    blobs.put_file(name, path)
    return Piece(name=name, rows=rows, size_bytes=size_bytes, sha256=digest, columns=columns)


@contextmanager
def _scratch_file(scratch: Path) -> Iterator[Path]:
    """Yield the path of a file that is not there yet, and is gone afterwards."""
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"result-{uuid4().hex}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
