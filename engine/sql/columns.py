"""Finding out what the table ``input`` looks like, from the heads of some of its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from engine.batch import Batch, Compression, FileSlice
from engine.errors import RecordError
from engine.source.chunk import BOM
from engine.source.compression import DecompressedStream, Readable
from engine.source.csv_ends import record_ends, write_with_one_end
from engine.source.file import SourceFile
from engine.source.formats import FileLayout, detect
from engine.source.head import read_head
from engine.source.hive import hive_columns
from engine.source.look import look_at
from engine.source.parquet import check_footer
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import CsvSpec, DataFormat, LayoutSpec
from engine.sql.fault import data_fault, in_one_line
from engine.sql.job import Columns, TableShape
from engine.sql.lines import LINE
from engine.sql.recent import Recent
from engine.sql.sandbox import literal

HEAD_BYTES: Final = 256 * 1024
LONGEST_HEAD_BYTES: Final = 16 * 1024 * 1024
_SAMPLED_FILES: Final = 3
_MOST_SPARE_FILES: Final = 100
_SAMPLE_ROWS: Final = 20_480
_CSV_TYPES: Final = (
    "['NULL', 'BOOLEAN', 'BIGINT', 'DOUBLE', 'TIME', 'DATE', 'TIMESTAMP', 'VARCHAR']"
)
_NUMBERS: Final = ("BIGINT", "DOUBLE")
_NO_VALUES: Final = '"NULL"'
_NO_OBJECTS: Final = "expected records"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the head of a file shows.

    Attributes:
        shape: Of the file.
        has_records: Whether there are any; types that no record shows are none.
    """

    shape: TableShape
    has_records: bool


class ShapeFinder:
    """Looks at samples on one connection.

    Args:
        connection: Where samples are read.
        sources: Where the files are.
        scratch: A folder for samples.
        is_lenient: Whether records that cannot be read are passed over.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        sources: Sources,
        scratch: Path,
        is_lenient: bool = False,
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._scratch = scratch
        self._ignore_errors = str(is_lenient).lower()
        self._seen: Recent[_Seen | None] = Recent()

    def of_items(self, items: Sequence[Any], name: str = "inline") -> TableShape:
        """Return the shape of items, by default those of the request; strings are lines.

        Raises:
            RecordError: They have no columns.
        """
        path = self._scratch / "head.jsonl"
        rows = (item if isinstance(item, dict) else {LINE: item} for item in items)
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        try:
            columns = self._json_columns(path, name) if items else ()
        finally:
            path.unlink()
        if items and not columns:
            raise _no_columns(name)
        return TableShape(columns=columns)

    def of_files(self, files: Sequence[SourceFile], layout: LayoutSpec) -> TableShape | None:
        """Return the shape that all *files* fit, as far as the heads of some show it.

        Looked at are the first, the middle and the last, and the largest in the place of those
        without a record. A column that is integer here and fractional there is DOUBLE; any other
        disagreement makes it VARCHAR.

        Returns:
            None where no record and no header tells of columns.

        Raises:
            SourceError: A file cannot be read.
            RecordError: A file is not what its format says.
        """
        full: dict[int, TableShape] = {}
        bare: dict[int, TableShape] = {}
        for looked, index in enumerate(_order_of_looks(files)):
            if full and looked >= 2 * _SAMPLED_FILES:
                break
            seen = self._of_known_file(files[index], layout)
            if seen is not None:
                (full if seen.has_records else bare)[index] = seen.shape
            if len(full) == _SAMPLED_FILES or len(bare) > _MOST_SPARE_FILES:
                break
        found = full or bare
        if not found:
            return None if files else TableShape(columns=())
        shape = _merged([found[index] for index in sorted(found)])
        if not shape.columns:
            raise _no_columns(self._sources.name_of(files[min(found)].path))
        return shape

    def _of_known_file(self, file: SourceFile, layout: LayoutSpec) -> _Seen | None:
        """Return what a file shows, which may have been looked at before; None if nothing."""
        if not file.version:
            return self._of_file(file, layout)
        known_as = (file.path, file.version, layout.model_dump_json())
        return self._seen.answer(known_as, lambda: self._of_file(file, layout))

    def _of_file(self, file: SourceFile, layout: LayoutSpec) -> _Seen | None:
        name = self._sources.name_of(file.path)
        found = look_at(file, layout, self._sources) if file.size_bytes else _unseen(name, layout)
        folders = tuple(
            (column, "BIGINT" if isinstance(value, int) else "VARCHAR")
            for column, value in hive_columns(name).items()
        )
        if not file.size_bytes:
            return _without_records(found.format, layout, folders)
        match found.format:
            case DataFormat.PARQUET:
                columns, rows = self._parquet_columns(file, name)
                return _Seen(TableShape(columns, folders), has_records=rows > 0)
            case DataFormat.JSON:
                items = self._first_items(file, found, layout)
                if not items:
                    return None
                return _Seen(TableShape(self.of_items(items, name).columns, folders), True)
            case _:
                return self._of_lines(file, found, layout, folders)

    def _of_lines(
        self, file: SourceFile, found: FileLayout, layout: LayoutSpec, folders: Columns
    ) -> _Seen | None:
        """Return what the first lines of a text, CSV or JSONL file show."""
        name = self._sources.name_of(file.path)
        with self._sources.open_file(file.path, version=file.version) as stream:
            plain: Readable = stream
            if found.compression is not Compression.NONE:
                plain = DecompressedStream(stream, found.compression, name=name)
            head = read_head(plain, found.format, layout.csv, step_bytes=HEAD_BYTES)
        if head.is_blank:
            return _without_records(found.format, layout, folders)
        if found.format is DataFormat.TEXT:
            return _Seen(TableShape(((LINE, "VARCHAR"),), folders), has_records=True)
        path = self._scratch / "head"
        try:
            path.write_bytes(head.data)
            if found.format is DataFormat.JSONL:
                columns = self._json_columns(path, name)
                return _Seen(TableShape(columns, folders), has_records=bool(columns))
            data = head.data.removeprefix(BOM).lstrip(b"\r\n")  # or DuckDB may see no header
            path.write_bytes(data)
            if record_ends(path, layout.csv.delimiter).is_mixed:
                write_with_one_end(BytesIO(data), path, layout.csv.delimiter)
            columns, options = self._csv_columns(path, layout.csv, name)
            return _Seen(TableShape(columns, folders, options), head.has_records)
        finally:
            path.unlink(missing_ok=True)

    def _first_items(
        self, file: SourceFile, found: FileLayout, layout: LayoutSpec
    ) -> Sequence[Any]:
        whole = FileSlice(
            file.path, 0, file.size_bytes, file.version, found.format, found.compression
        )
        chunks = BatchReader(self._sources, layout).chunks(Batch(slices=(whole,)))
        return next(iter(chunks), [])

    def _parquet_columns(self, file: SourceFile, name: str) -> tuple[Columns, int]:
        """Return the columns of a Parquet file, and how many rows it has."""
        try:
            with self._sources.open_file(file.path, version=file.version) as stream:
                check_footer(stream, name=name)
                footer = pq.read_metadata(stream)
                schema = footer.schema.to_arrow_schema()
        except (pa.ArrowException, OSError) as exc:
            reason = in_one_line(str(exc))
            raise RecordError(f"{name}: is not a readable Parquet file: {reason}") from exc
        path = self._scratch / "head.parquet"
        try:
            pq.write_table(schema.empty_table(), path)
            columns = self._described(f"SELECT * FROM read_parquet({literal(str(path))})")
            return columns, footer.num_rows
        finally:
            path.unlink(missing_ok=True)

    def _csv_columns(self, path: Path, csv: CsvSpec, name: str) -> tuple[Columns, dict[str, str]]:
        options = {
            "delim": literal(csv.delimiter),
            "quote": literal('"'),
            "escape": literal('"'),
            "header": str(csv.header).lower(),
            "sample_size": str(_SAMPLE_ROWS),
            "auto_type_candidates": _CSV_TYPES,
            "max_line_size": str(LONGEST_HEAD_BYTES),
            "ignore_errors": self._ignore_errors,
        }
        if csv.columns is not None:
            options["names"] = "[" + ", ".join(map(literal, csv.columns)) + "]"
        given = ", ".join(f"{option} = {value}" for option, value in options.items())
        try:
            found = self._connection.sql(
                "SELECT Columns, DateFormat, TimestampFormat "
                f"FROM sniff_csv({literal(str(path))}, {given})"
            ).fetchall()
        except duckdb.Error as exc:
            raise _refused(exc, path, name) from exc
        columns, date_format, timestamp_format = found[0]
        formats = {"dateformat": date_format, "timestampformat": timestamp_format}
        return (
            tuple((column["name"], column["type"]) for column in columns),
            {option: text for option, text in formats.items() if text},
        )

    def _json_columns(self, path: Path, name: str) -> Columns:
        try:
            return self._described(
                f"SELECT * FROM read_json({literal(str(path))}, format = 'newline_delimited', "
                f"records = true, sample_size = {_SAMPLE_ROWS}, "
                f"ignore_errors = {self._ignore_errors}, "
                f"maximum_object_size = {LONGEST_HEAD_BYTES})"
            )
        except duckdb.Error as exc:
            if _NO_OBJECTS not in str(exc):
                raise _refused(exc, path, name) from exc
            if not path.read_bytes().removeprefix(BOM).translate(None, b"{} \t\r\n"):
                return ()
            raise RecordError(f"{name}: there are records that are not JSON objects") from exc

    def _described(self, query: str) -> Columns:
        relation = self._connection.sql(query)
        return tuple(zip(relation.columns, map(str, relation.types), strict=True))


def _order_of_looks(files: Sequence[SourceFile]) -> Iterator[int]:
    """Yield the indices of the first, the middle and the last file, then by falling size."""
    sample = sorted({0, len(files) // 2, len(files) - 1}) if files else []
    yield from sample
    rest = sorted(set(range(len(files))) - set(sample), key=lambda at: -files[at].size_bytes)
    yield from rest


def _unseen(name: str, layout: LayoutSpec) -> FileLayout:
    """Return the layout of a file without a byte."""
    try:
        return detect(b"", name, layout.format)
    except RecordError:
        return FileLayout(DataFormat.PARQUET, Compression.NONE)


def _without_records(format: DataFormat, layout: LayoutSpec, folders: Columns) -> _Seen | None:
    """Return what is known of a file in which there is nothing."""
    columns: Columns = ()
    if format is DataFormat.TEXT:
        columns = ((LINE, "VARCHAR"),)
    elif format is DataFormat.CSV:
        columns = tuple((name, "VARCHAR") for name in layout.csv.columns or ())
    return _Seen(TableShape(columns, folders), has_records=False) if columns else None


def _no_columns(name: str) -> RecordError:
    return RecordError(f"{name}: its records have no columns")


def _refused(error: duckdb.Error, path: Path, name: str) -> RecordError:
    """Return what DuckDB says about the file at *path*, which is the head of another one."""
    text = str(error).replace(str(path), name).partition("\n\n")[0]
    return RecordError(f"{name}: {data_fault(text)}")


def _merged(shapes: Sequence[TableShape]) -> TableShape:
    types: dict[str, str] = {}
    folders: dict[str, str] = {}
    options: dict[str, str] = {}
    for shape in shapes:
        for name, kind in shape.columns:
            types[name] = _common(types.get(name, kind), kind)
        for name, kind in shape.folder_columns:
            folders[name] = kind if folders.get(name, kind) == kind else "VARCHAR"
        options = shape.csv_options | options
    return TableShape(
        columns=tuple(types.items()),
        folder_columns=tuple((n, kind) for n, kind in folders.items() if n not in types),
        csv_options=options,
    )


def _common(one: str, other: str) -> str:
    if one == other or other == _NO_VALUES:
        return one
    if one == _NO_VALUES:
        return other
    if one in _NUMBERS and other in _NUMBERS:
        return "DOUBLE"
    return "VARCHAR"


__all__ = ["HEAD_BYTES", "ShapeFinder"]
