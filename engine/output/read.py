"""Rows of a result file as JSON, whatever its format, from any place on at the same cost."""

from __future__ import annotations

from collections.abc import Iterator

from engine.attempt import Piece
from engine.blobs import BlobStore
from engine.output.csv_text import read_csv
from engine.output.jsonl_text import read_jsonl
from engine.output.suffix import format_of
from engine.spec import DataFormat


def read_rows(blobs: BlobStore, file: Piece, *, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield each row as JSON with the place after it.

    Args:
        blobs: Where the file is.
        file: As its job's manifest describes it.
        start: A place: a byte offset in text, a number of rows in Parquet. 0 is the beginning.

    Raises:
        InputError: No row begins at *start*.
        NotFoundError: The file has been erased.
        UnavailableError: The file is not what the manifest says.
    """
    match format_of(file.name):
        case DataFormat.CSV:
            return read_csv(blobs, file.name, file.size_bytes, file.columns, start)
        case DataFormat.PARQUET if not file.columns:
            # Parquet counts no rows where there are no columns.
            return ((number, b"{}") for number in range(start + 1, file.rows + 1))
        case DataFormat.PARQUET:
            from engine.output.parquet_read import read_parquet

            return read_parquet(blobs, file.name, file.size_bytes, start)
        case _:
            return read_jsonl(blobs, file.name, file.size_bytes, start)
