"""A whole batch as one Arrow table, for programs that map columns instead of rows.

Columns have the types of their files: those of Parquet as they are, those of CSV text, those of
JSON as Arrow finds them. Lines, and values that are no objects, are a column of their own. The
table rests in files and is mapped into memory, so that the system may drop what is not in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
from pyarrow import ipc

from engine.errors import RecordError

LINE: Final = "line"
VALUE: Final = "value"


def table_of_items(items: list[Any], *, name: str) -> Any:
    """Return items as a table: objects as rows, anything else as one column.

    Raises:
        RecordError: Arrow has no type for what is in a column.
    """
    try:
        if all(isinstance(item, dict) for item in items):
            columns = dict.fromkeys(column for item in items for column in item)
            found = {column: [item.get(column) for item in items] for column in columns}
            return pa.table({column: pa.array(values) for column, values in found.items()})
        column = LINE if all(isinstance(item, str) for item in items) else VALUE
        return pa.table({column: pa.array(items)})
    except (pa.ArrowException, OverflowError) as exc:
        raise RecordError(f"{name}: cannot be made a table: {exc}") from exc


def with_columns(table: Any, columns: Mapping[str, str | int | None]) -> Any:
    """Add columns of one value each, where *table* has none of their name."""
    for name, value in columns.items():
        if name not in table.column_names:
            kind = pa.int64() if isinstance(value, int) else pa.string()
            table = table.append_column(name, pa.repeat(pa.scalar(value, kind), table.num_rows))
    return table


def joined_tables(tables: Iterable[Any], *, scratch: Path) -> Any:
    """Return *tables*, one below the other, out of files below *scratch*.

    A column that one of them lacks is null there; whole numbers become fractional where others
    are.

    Raises:
        RecordError: A column has types that do not go together.
    """
    kept = [
        ipc.open_stream(pa.memory_map(str(path))).read_all() for path in _files(tables, scratch)
    ]
    try:
        return pa.concat_tables(kept, promote_options="permissive") if kept else pa.table({})
    except pa.ArrowException as exc:
        raise RecordError(f"the files of a batch cannot be made one table: {exc}") from exc


def _files(tables: Iterable[Any], scratch: Path) -> Iterator[Path]:
    """Write the tables, those of one schema that follow one another into one file."""
    for schema, alike in groupby(tables, key=lambda table: table.schema):
        path = scratch / f"{uuid4().hex}.arrows"
        with ipc.new_stream(str(path), schema) as writer:
            for table in alike:
                writer.write_table(table)
        yield path
