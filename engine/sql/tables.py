"""The table ``input`` of a map task: the records of its batch, as DuckDB reads them.

DuckDB reads files of this machine itself. What it cannot read as it lies there (a part of a file, a
compressed one, one in an object store, a JSON document) is first brought to scratch; Parquet in an
object store is read by row group and column where it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from engine.batch import Batch, Compression, FileSlice
from engine.errors import FanfoldError, RecordError, SourceError
from engine.source.chunk import BOM, MAX_RECORD_BYTES, Chunk
from engine.source.compression import decompress_to
from engine.source.csv_mask import first_record_end
from engine.source.csv_rows import read_columns
from engine.source.hive import hive_columns
from engine.source.read import BatchReader
from engine.source.sources import BLOB_PREFIX, Sources
from engine.spec import CsvSpec, DataFormat, LayoutSpec
from engine.sql.job import TableShape
from engine.sql.lines import LineStream
from engine.sql.sandbox import identifier, literal

INPUT: Final = "input"
_BLOCK_BYTES: Final = 1024 * 1024
_HEAD_BYTES: Final = 64 * 1024
_MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024


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
        self._layout = layout
        self._shape = shape
        self._scratch = scratch

    @contextmanager
    def bound(self, batch: Batch) -> Iterator[BoundInput]:
        """Have ``input`` stand for *batch* while the context is open.

        Raises:
            SourceError: A file cannot be read, or is not the one that was planned.
            RecordError: A file is not what its format says.
        """
        with ExitStack() as stack:
            parts = _Parts(self._connection, self._scratch, stack)
            for query in self._queries(batch, parts):
                parts.queries.append(query)
            body = " UNION ALL ".join(parts.queries) or self._nothing()
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {INPUT} AS {body}")
            stack.callback(self._connection.execute, f"DROP VIEW IF EXISTS {INPUT}")
            yield BoundInput(counted=parts.items, names=parts.names, lines=tuple(parts.lines))

    @contextmanager
    def bound_to_nothing(self) -> Iterator[None]:
        """Have ``input`` stand for no records, with the columns of the job."""
        with self.bound(Batch()):
            yield

    def _queries(self, batch: Batch, parts: _Parts) -> Iterator[str]:
        if batch.items is not None:
            yield self._of_items(batch, parts)
            return
        for (format_, folders), slices in groupby(batch.slices, key=self._kind_of):
            group = list(slices)
            name = self._sources.name_of(group[0].path)
            for query in self._of_slices(format_, group, parts):
                yield self._shaped(query, dict(folders), name)

    def _kind_of(self, part: FileSlice) -> tuple[DataFormat, tuple[tuple[str, Any], ...]]:
        if not self._shape.folder_columns:
            return part.format, ()
        return part.format, tuple(hive_columns(self._sources.name_of(part.path)).items())

    def _of_slices(
        self, format_: DataFormat, slices: Sequence[FileSlice], parts: _Parts
    ) -> Iterator[str]:
        match format_:
            case DataFormat.PARQUET:
                yield from self._parquet(slices, parts)
            case DataFormat.CSV:
                yield from self._csv(slices, parts)
            case DataFormat.JSONL:
                paths = [self._file_of(part, parts).path for part in slices]
                parts.items += sum(map(_count_lines, paths))
                yield self._json(paths)
            case DataFormat.JSON:
                yield self._of_items(Batch(slices=tuple(slices)), parts)
            case _:
                yield self._text(slices, parts)

    def _parquet(self, slices: Sequence[FileSlice], parts: _Parts) -> Iterator[str]:
        whole = []
        for part in slices:
            path = self._direct_path(part, parts)
            if path is None:
                yield self._remote_parquet(part, parts)
                continue
            with self._sources.open_file(part.path, version=part.version) as stream:
                footer = _footer(stream, self._sources.name_of(part.path))
            parts.names[path] = self._sources.name_of(part.path)
            first, last = part.groups or (0, footer.num_row_groups)
            sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
            parts.items += sum(sizes[first:last])
            if (first, last) == (0, footer.num_row_groups):
                whole.append(path)
                continue
            start, end = sum(sizes[:first]), sum(sizes[:last])
            yield (
                "SELECT * EXCLUDE (file_row_number) FROM "
                f"read_parquet({literal(path)}, file_row_number = true, hive_partitioning = false)"
                f" WHERE file_row_number BETWEEN {start} AND {end - 1}"
            )
        if whole:
            listed = ", ".join(map(literal, whole))
            yield f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"

    def _remote_parquet(self, part: FileSlice, parts: _Parts) -> str:
        stream = self._sources.open_file(part.path, version=part.version)
        parts.stack.callback(stream.close)
        footer = _footer(stream, self._sources.name_of(part.path))
        first, last = part.groups or (0, footer.num_row_groups)
        parts.items += sum(footer.row_group(i).num_rows for i in range(first, last))
        layout = ds.ParquetFileFormat()
        fragment = layout.make_fragment(pa.PythonFile(stream, "r"), row_groups=range(first, last))
        found = ds.FileSystemDataset([fragment], footer.schema.to_arrow_schema(), layout)
        return f"SELECT * FROM {parts.register(found)}"

    def _csv(self, slices: Sequence[FileSlice], parts: _Parts) -> Iterator[str]:
        files = [self._file_of(part, parts) for part in slices]
        keyed = [
            ((*self._header(part, file), _line_end(file.path, self._layout.csv)), file)
            for part, file in zip(slices, files, strict=True)
        ]
        for (names, has_header, line_end), group in groupby(keyed, key=lambda pair: pair[0]):
            paths = [file.path for _, file in group]
            parts.items += sum(_count_records(path, has_header=has_header) for path in paths)
            types = dict(self._shape.columns)
            columns = ", ".join(f"{literal(n)}: {literal(types.get(n, 'VARCHAR'))}" for n in names)
            options = {
                "auto_detect": "false",
                "columns": f"{{{columns}}}",
                "header": str(has_header).lower(),
                "delim": literal(self._layout.csv.delimiter),
                "quote": literal('"'),
                "escape": literal('"'),
                "max_line_size": str(_MAX_OBJECT_BYTES),
                "new_line": literal(line_end),
                "hive_partitioning": "false",
                **{name: literal(text) for name, text in self._shape.csv_options.items()},
            }
            listed = ", ".join(map(literal, paths))
            given = ", ".join(f"{name} = {value}" for name, value in options.items())
            yield f"SELECT * FROM read_csv([{listed}], {given})"

    def _header(self, part: FileSlice, file: _LocalFile) -> tuple[tuple[str, ...], bool]:
        """Return the columns of a CSV slice's file, and whether the slice has the first row."""
        csv = self._layout.csv
        if csv.columns is not None:
            return csv.columns, csv.header and part.start == 0
        if not csv.header:
            return tuple(name for name, _ in self._shape.columns), False
        if part.start == 0:
            with open(file.path, "rb") as stream:
                return _first_row(stream, csv, file.name), True
        with self._sources.open_file(part.path, version=part.version) as stream:
            return _first_row(stream, csv, file.name), False

    def _json(self, paths: Sequence[str]) -> str:
        columns = ", ".join(f"{literal(n)}: {literal(t)}" for n, t in self._shape.columns)
        listed = ", ".join(map(literal, paths))
        return (
            f"SELECT * FROM read_json([{listed}], format = 'newline_delimited', "
            f"auto_detect = false, columns = {{{columns}}}, hive_partitioning = false, "
            f"maximum_object_size = {_MAX_OBJECT_BYTES})"
        )

    def _text(self, slices: Sequence[FileSlice], parts: _Parts) -> str:
        files = [self._file_of(part, parts, as_range=True) for part in slices]
        lines = LineStream([(f.path, f.name, f.start, f.end) for f in files])
        parts.lines.append(lines)
        return f"SELECT * FROM {parts.register(lines)}"

    def _of_items(self, batch: Batch, parts: _Parts) -> str:
        """Bring items that only Python can read to scratch as JSON Lines."""
        path = parts.new_file("jsonl")
        reader = BatchReader(self._sources, self._layout)
        with open(path, "wb") as stream:
            for items in reader.chunks(batch):
                parts.items += len(items)
                stream.writelines(map(_as_line, items))
        names = dict.fromkeys(self._sources.name_of(part.path) for part in batch.slices)
        parts.names[str(path)] = ", ".join(names) or "inline"
        return self._json([str(path)])

    def _file_of(self, part: FileSlice, parts: _Parts, *, as_range: bool = False) -> _LocalFile:
        """Return where the slice alone can be read on this machine, bringing it there if need be.

        Args:
            part: The slice.
            parts: Keeps what is brought.
            as_range: A part of a file will do.
        """
        name = self._sources.name_of(part.path)
        with self._sources.open_file(part.path, version=part.version) as stream:
            path = self._direct_path(part, parts)
            stream.seek(0, 2)
            is_whole = part.start == 0 and part.end == stream.tell()
            if path is not None and part.compression is Compression.NONE:
                if is_whole or as_range:
                    parts.names[path] = name
                    return _LocalFile(path, name, part.start, part.end)
            target = parts.new_file(part.format.lower())
            parts.names[str(target)] = (
                name if is_whole else f"{name}, bytes {part.start} to {part.end}"
            )
            stream.seek(part.start)
            if part.compression is not Compression.NONE:
                decompress_to(stream, part.compression, target, name=name)
            else:
                _copy(stream, target, part.size_bytes, name)
        return _LocalFile(str(target), name, 0, target.stat().st_size)

    def _direct_path(self, part: FileSlice, parts: _Parts) -> str | None:
        """Return a path by which DuckDB may read the file, if it lies on this machine.

        What the service keeps itself is linked into scratch: DuckDB may not look where it lies.
        """
        path = self._sources.local_path(part.path)
        if path is None or not part.path.startswith(BLOB_PREFIX):
            return path
        linked = parts.new_file(part.format.lower())
        try:
            linked.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, linked)
        return str(linked)

    def _shaped(self, query: str, folders: dict[str, Any], file: str) -> str:
        """Give *query* the columns of the job, in their order and with their types.

        Args:
            query: Over files of one format, of which *file* is the first.
            folders: What their folders' names say.
            file: For messages.
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
            elif self._is_sparse(query):
                value = "NULL"
            else:
                raise RecordError(f"{file}: has no column {name!r}; it has {', '.join(found)}")
            columns.append(
                f"{value} AS {identifier(name)}"
                if found.get(name) == kind
                else f"CAST({value} AS {kind}) AS {identifier(name)}"
            )
        return f"SELECT {', '.join(columns)} FROM ({query})"

    def _is_sparse(self, query: str) -> bool:
        return "read_json" in query

    def _nothing(self) -> str:
        columns = ", ".join(
            f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in self._shape.every_column
        )
        return f"SELECT {columns or 'NULL AS line'} WHERE false"


@dataclass(frozen=True, slots=True)
class _LocalFile:
    path: str
    name: str
    start: int
    end: int


class _Parts:
    """What has been gathered for one batch: queries, counts, names, things to take down again."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, scratch: Path, stack: ExitStack
    ) -> None:
        self.queries: list[str] = []
        self.items = 0
        self.names: dict[str, str] = {}
        self.lines: list[LineStream] = []
        self.stack = stack
        self._connection = connection
        self._scratch = scratch
        self._made = 0

    def register(self, data: Any) -> str:
        """Make Arrow data a table and return its name."""
        name = f"__part_{self._made}"
        self._made += 1
        self._connection.register(name, data)
        self.stack.callback(self._connection.unregister, name)
        return name

    def new_file(self, suffix: str) -> Path:
        """Return a path in scratch that is removed in the end."""
        path = self._scratch / f"part-{self._made}.{suffix}"
        self._made += 1
        self.stack.callback(path.unlink, missing_ok=True)
        return path


def _footer(stream: Any, name: str) -> pq.FileMetaData:
    try:
        return pq.read_metadata(stream)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as exc:
        raise RecordError(f"{name}: is not a readable Parquet file: {exc}") from exc


def _first_row(stream: BinaryIO, csv: CsvSpec, name: str) -> tuple[str, ...]:
    return read_columns(Chunk(name, 0, _first_record(stream, csv).removeprefix(BOM)), csv)


def _line_end(path: str, csv: CsvSpec) -> str:
    """Return how rows end; DuckDB would go by the first line break, which may be within quotes."""
    with open(path, "rb") as stream:
        record = _first_record(stream, csv)
    if record.endswith(b"\r\n"):
        return r"\r\n"
    return r"\r" if record.endswith(b"\r") else r"\n"


def _first_record(stream: BinaryIO, csv: CsvSpec) -> bytes:
    head = b""
    while (end := first_record_end(head, csv.delimiter)) is None:
        block = stream.read(_HEAD_BYTES)
        head += block
        if not block or len(head) > MAX_RECORD_BYTES:
            break
    return head[:end]


def _copy(stream: Any, target: Path, size_bytes: int, name: str) -> None:
    with target.open("wb") as sink:
        left = size_bytes
        while left and (block := stream.read(min(_BLOCK_BYTES, left))):
            sink.write(block)
            left -= len(block)
    if left:
        raise SourceError(f"{name}: has become shorter since the job was planned", location=name)


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _count_lines(path: str) -> int:
    count, last = 0, b"\n"
    for block in _blocks(path):
        count += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
        last = block[-1:]
    return count + (last != b"\n")


def _count_records(path: str, *, has_header: bool) -> int:
    """Count the rows of a CSV file; line ends within quotes count as rows."""
    return max(0, _count_lines(path) - has_header)


def _as_line(item: Any) -> bytes:
    row = item if isinstance(item, dict) else {"line": item}
    return orjson.dumps(row) + b"\n"


__all__ = ["INPUT", "BoundInput", "InputTable"]
