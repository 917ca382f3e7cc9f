"""Finding out what the table ``input`` looks like, from the heads of some of its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from engine.batch import Batch, Compression, FileSlice
from engine.errors import RecordError
from engine.source.compression import DecompressedStream, Readable
from engine.source.csv_ends import record_ends, write_with_one_end
from engine.source.file import SourceFile
from engine.source.formats import FileLayout
from engine.source.hive import hive_columns
from engine.source.look import look_at
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import CsvSpec, DataFormat, LayoutSpec
from engine.sql.job import Columns, TableShape
from engine.sql.lines import LINE
from engine.sql.recent import Recent
from engine.sql.sandbox import literal

HEAD_BYTES: Final = 256 * 1024
LONGEST_HEAD_BYTES: Final = 16 * 1024 * 1024
_SAMPLE_ROWS: Final = 20_480
_CSV_TYPES: Final = (
    "['NULL', 'BOOLEAN', 'BIGINT', 'DOUBLE', 'TIME', 'DATE', 'TIMESTAMP', 'VARCHAR']"
)
_NUMBERS: Final = ("BOOLEAN", "BIGINT", "DOUBLE")


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
        self._seen: Recent[TableShape] = Recent()

    def of_items(self, items: Sequence[Any]) -> TableShape:
        """Return the shape of items that came with the request; strings are lines."""
        path = self._scratch / "head.jsonl"
        rows = (item if isinstance(item, dict) else {LINE: item} for item in items)
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        try:
            return TableShape(columns=self._json_columns(path, "inline") if items else ())
        finally:
            path.unlink()

    def of_files(self, files: Iterable[SourceFile], layout: LayoutSpec) -> TableShape:
        """Return the shape that all *files* fit, as far as their heads show it.

        A column that is integer here and fractional there is DOUBLE; any other disagreement makes
        it VARCHAR, but for Parquet, where the first file decides.

        Raises:
            SourceError: A file cannot be read.
            RecordError: A file is not what its format says.
        """
        return _merged([self._of_known_file(file, layout) for file in files])

    def _of_known_file(self, file: SourceFile, layout: LayoutSpec) -> TableShape:
        """Return the shape of a file, which may have been looked at before."""
        if not file.version:
            return self._of_file(file, layout)
        known_as = (file.path, file.version, layout.model_dump_json())
        return self._seen.answer(known_as, lambda: self._of_file(file, layout))

    def _of_file(self, file: SourceFile, layout: LayoutSpec) -> TableShape:
        name = self._sources.name_of(file.path)
        found = look_at(file, layout, self._sources)
        folders = tuple(
            (column, "BIGINT" if isinstance(value, int) else "VARCHAR")
            for column, value in hive_columns(name).items()
        )
        match found.format:
            case DataFormat.PARQUET:
                return TableShape(self._parquet_columns(file, name), folders)
            case DataFormat.TEXT:
                return TableShape(((LINE, "VARCHAR"),), folders)
            case DataFormat.JSON:
                return TableShape(
                    self.of_items(self._first_items(file, found, layout)).columns, folders
                )
            case _:
                return self._of_lines(file, found, layout, folders)

    def _of_lines(
        self, file: SourceFile, found: FileLayout, layout: LayoutSpec, folders: Columns
    ) -> TableShape:
        """Return the shape of a CSV or JSONL file by its first lines."""
        name = self._sources.name_of(file.path)
        path = self._scratch / "head"
        try:
            with self._sources.open_file(file.path, version=file.version) as stream:
                plain: Readable = stream
                if found.compression is not Compression.NONE:
                    plain = DecompressedStream(stream, found.compression, name=name)
                path.write_bytes(_head(plain))
            if found.format is DataFormat.CSV:
                if record_ends(path, layout.csv.delimiter).is_mixed:
                    head = BytesIO(path.read_bytes())
                    write_with_one_end(head, path, layout.csv.delimiter)
                columns, options = self._csv_columns(path, layout.csv, name)
                return TableShape(columns, folders, options)
            return TableShape(self._json_columns(path, name), folders)
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

    def _parquet_columns(self, file: SourceFile, name: str) -> Columns:
        try:
            with self._sources.open_file(file.path, version=file.version) as stream:
                schema = pq.read_metadata(stream).schema.to_arrow_schema()
        except (pa.ArrowException, OSError) as exc:
            raise RecordError(f"{name}: is not a readable Parquet file: {exc}") from exc
        path = self._scratch / "head.parquet"
        try:
            pq.write_table(schema.empty_table(), path)
            return self._described(f"SELECT * FROM read_parquet({literal(str(path))})")
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
            reason = str(exc).replace(str(path), name).partition("\n\n")[0]
            raise RecordError(f"{name}: {reason}") from exc
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
            reason = str(exc).replace(str(path), name).partition("\n\n")[0]
            raise RecordError(f"{name}: {reason}") from exc

    def _described(self, query: str) -> Columns:
        relation = self._connection.sql(query)
        return tuple(zip(relation.columns, map(str, relation.types), strict=True))


def sample_of(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Return the first, the middle and the last of *files*, each once."""
    chosen = {0, len(files) // 2, len(files) - 1} if files else set()
    return [files[index] for index in sorted(chosen)]


def _head(stream: Any) -> bytes:
    """Return whole lines from the beginning, one at least."""
    head = bytearray()
    while len(head) < LONGEST_HEAD_BYTES:
        block = stream.read(HEAD_BYTES)
        if not block:
            return bytes(head)
        head += block
        end = head.rfind(b"\n") + 1
        if end:
            return bytes(head[:end])
    return bytes(head)


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
    if one == other:
        return one
    if one in _NUMBERS[1:] and other in _NUMBERS[1:]:
        return "DOUBLE"
    return "VARCHAR"


__all__ = ["HEAD_BYTES", "ShapeFinder", "sample_of"]
