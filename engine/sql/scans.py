"""How DuckDB scans the files of each format: one query for those that can be read alike.

What a scan yields has the columns and types of the files; ``InputTable`` gives it those of the job.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from engine.batch import Batch, FileSlice
from engine.errors import RecordError
from engine.source.chunk import Chunk
from engine.source.content import Content
from engine.source.csv_ends import CRLF, LF, record_ends, write_with_one_end
from engine.source.head import Head, read_head
from engine.source.parquet import check_footer
from engine.source.read import BatchReader
from engine.spec import CsvSpec, DataFormat, LayoutSpec
from engine.sql.csv_top import blank_lines_before, first_row
from engine.sql.fault import in_one_line
from engine.sql.gathering import Gathering, LocalFile
from engine.sql.job import TableShape
from engine.sql.lines import LINE, LineStream
from engine.sql.sandbox import literal

_BLOCK_BYTES: Final = 1024 * 1024
_HEAD_BYTES: Final = 64 * 1024
_LINE_ENDS: Final = {LF: r"\n", CRLF: r"\r\n", b"\r": r"\r"}
_MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024
_LINES: Final = ((LINE, "VARCHAR"),)


class Scan(Protocol):
    """Scans files of one format.

    Attributes:
        is_sparse: Whether a column that no record has is null rather than an error.
    """

    @property
    def is_sparse(self) -> bool:
        """See above."""
        ...

    def queries(self, slices: Sequence[FileSlice], gathering: Gathering) -> Iterator[str]:
        """Yield queries that together have the records of *slices*, and count these.

        A slice without a record is passed over, whatever its columns; of some that have none, no
        query need come.

        Raises:
            SourceError: A file cannot be read, or is not the one that was planned.
            RecordError: A file is not what its format says.
        """
        ...


def scans_of(layout: LayoutSpec, shape: TableShape) -> Mapping[DataFormat, Scan]:
    """Return the scans of a job."""
    return {
        DataFormat.PARQUET: ParquetScan(),
        DataFormat.CSV: CsvScan(layout.csv, shape),
        DataFormat.JSONL: JsonLinesScan(shape),
        DataFormat.JSON: ItemScan(layout, shape),
        DataFormat.TEXT: TextScan(shape),
    }


class ParquetScan:
    """Parquet: whole files at once, or the rows of some row groups; elsewhere through Arrow."""

    is_sparse = False

    def queries(self, slices: Sequence[FileSlice], gathering: Gathering) -> Iterator[str]:
        """Yield queries; see ``Scan``."""
        whole = []
        for part in slices:
            name = gathering.sources.name_of(part.path)
            stream = gathering.opened(part)
            footer = _footer(stream, name)
            first, last = part.groups or (0, footer.num_row_groups)
            sizes = [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
            if not sum(sizes[first:last]):
                continue
            gathering.items += sum(sizes[first:last])
            path = gathering.direct_path(part)
            if path is None:
                yield _through_arrow(stream, footer, (first, last), gathering)
                continue
            gathering.names[path] = name
            if (first, last) == (0, footer.num_row_groups):
                whole.append(path)
            else:
                yield _rows_between(path, sum(sizes[:first]), sum(sizes[:last]))
        if whole:
            yield f"SELECT * FROM read_parquet({_listed(whole)}, hive_partitioning = false)"


@dataclass(frozen=True)
class CsvScan:
    """CSV: files whose first rows and line ends are alike together.

    A file whose records end in several ways is brought to scratch with one.

    Attributes:
        spec: How the files are laid out.
        shape: The types of the columns.
    """

    spec: CsvSpec
    shape: TableShape
    is_sparse = False

    def queries(self, slices: Sequence[FileSlice], gathering: Gathering) -> Iterator[str]:
        """Yield queries; see ``Scan``."""
        keyed = []
        for part in slices:
            file = gathering.brought(part)
            if _is_empty(part, file, self.spec):
                continue
            names, has_header = self._header(part, file, gathering)
            if not names and _is_blank(file, part.format):
                continue
            blank_lines = blank_lines_before(file.path) if has_header else 0
            ends = record_ends(file.path, self.spec.delimiter)
            gathering.items += max(0, ends.lines - blank_lines - has_header)
            if gathering.sieve is not None:
                path = self._sifted(part, file, gathering, names, has_header=has_header)
                has_header, blank_lines, line_end = False, 0, r"\n"
            else:
                path = self._with_one_end(file, gathering) if ends.is_mixed else file.path
                line_end = r"\n" if ends.is_mixed else _LINE_ENDS[ends.kind]
            keyed.append(((names, has_header, blank_lines, line_end), path))
        for kind, group in groupby(keyed, key=lambda pair: pair[0]):
            yield self._query([path for _, path in group], *kind)

    def _sifted(
        self,
        part: FileSlice,
        file: LocalFile,
        gathering: Gathering,
        names: Sequence[str],
        *,
        has_header: bool,
    ) -> str:
        """Return a file of the rows that can be read, without a header and with one line end."""
        kept = gathering.sifted(
            part,
            file.path,
            lambda sieve: sieve.reads_with(
                lambda probe: self._query([probe], names, False, 0, r"\n"),
                file.name,
                lambda data, probe: write_with_one_end(BytesIO(data), probe, self.spec.delimiter),
            ),
            delimiter=self.spec.delimiter,
            has_header=has_header,
        )
        return self._with_one_end(LocalFile(kept, file.name, 0, 0), gathering)

    def _query(
        self,
        paths: Sequence[str],
        names: Sequence[str],
        has_header: bool,
        blank_lines: int,
        line_end: str,
    ) -> str:
        options = self._options(names, has_header, blank_lines, line_end)
        given = ", ".join(f"{name} = {value}" for name, value in options.items())
        return f"SELECT * FROM read_csv({_listed(paths)}, {given})"

    def _with_one_end(self, file: LocalFile, gathering: Gathering) -> str:
        target = gathering.new_file("csv")
        with open(file.path, "rb") as stream:
            write_with_one_end(stream, target, self.spec.delimiter)
        gathering.names[str(target)] = gathering.names[file.path]
        return str(target)

    def _header(
        self, part: FileSlice, file: LocalFile, gathering: Gathering
    ) -> tuple[tuple[str, ...], bool]:
        """Return the columns of a slice's file, and whether the slice has the first row."""
        if self.spec.columns is not None:
            return self.spec.columns, self.spec.header and part.start == 0
        if not self.spec.header:
            return tuple(name for name, _ in self.shape.columns), False
        if part.start == 0:
            with open(file.path, "rb") as stream:
                return first_row(stream, self.spec, file.name), True
        with gathering.sources.open_file(part.path, version=part.version) as stream:
            return first_row(stream, self.spec, file.name), False

    def _options(
        self, names: Sequence[str], has_header: bool, blank_lines: int, line_end: str
    ) -> Mapping[str, str]:
        types = dict(self.shape.columns)
        columns = ", ".join(f"{literal(n)}: {literal(types.get(n, 'VARCHAR'))}" for n in names)
        return {
            "auto_detect": "false",
            "columns": f"{{{columns}}}",
            "header": str(has_header).lower(),
            "skip": str(blank_lines),
            "delim": literal(self.spec.delimiter),
            "quote": literal('"'),
            "escape": literal('"'),
            "max_line_size": str(_MAX_OBJECT_BYTES),
            "new_line": literal(line_end),
            "hive_partitioning": "false",
            **{name: literal(text) for name, text in self.shape.csv_options.items()},
        }


@dataclass(frozen=True)
class JsonLinesScan:
    """JSON Lines.

    Attributes:
        shape: The types of the columns.
    """

    shape: TableShape
    is_sparse = True

    def queries(self, slices: Sequence[FileSlice], gathering: Gathering) -> Iterator[str]:
        """Yield queries; see ``Scan``."""
        files = [(part, gathering.brought(part)) for part in slices]
        paths = [
            self._path(file, part, gathering)
            for part, file in files
            if not _is_empty(part, file, CsvSpec())
        ]
        gathering.items += sum(map(_count_lines, paths))
        if paths:
            yield _read_json(paths, self.shape)

    def _path(self, file: LocalFile, part: FileSlice, gathering: Gathering) -> str:
        return gathering.sifted(
            part,
            file.path,
            lambda sieve: sieve.reads_with(
                lambda probe: _read_json([probe], self.shape), file.name
            ),
        )


@dataclass(frozen=True)
class ItemScan:
    """What only Python reads: elements of JSON documents, and items that came with the request.

    Attributes:
        layout: Of the source.
        shape: The types of the columns.
    """

    layout: LayoutSpec
    shape: TableShape
    is_sparse = True

    def queries(self, slices: Sequence[FileSlice], gathering: Gathering) -> Iterator[str]:
        """Yield queries; see ``Scan``."""
        yield self.of_batch(Batch(slices=tuple(slices)), gathering)

    def of_batch(self, batch: Batch, gathering: Gathering) -> str:
        """Bring the items of *batch* to scratch as JSON Lines and return the query for them."""
        path = gathering.new_file("jsonl")
        sieve = gathering.sieve
        reader = BatchReader(
            gathering.sources, self.layout, report=None if sieve is None else sieve.report
        )
        with open(path, "wb") as stream:
            for items in reader.chunks(batch):
                gathering.items += len(items)
                stream.writelines(map(_as_line, items))
        names = dict.fromkeys(gathering.sources.name_of(part.path) for part in batch.slices)
        name = ", ".join(names) or "inline"
        gathering.names[str(path)] = name
        if sieve is not None:
            target = gathering.new_file("jsonl")
            with open(path, "rb") as stream:
                sieve.sift(
                    Content(name, 0, stream),
                    target,
                    sieve.reads_with(lambda probe: _read_json([probe], self.shape), name),
                    locate=lambda number: reader.place_of(batch, number),
                )
            path = target
        return _read_json([str(path)], self.shape)


@dataclass(frozen=True)
class TextScan:
    """Text: one column, ``line``.

    Attributes:
        shape: Of the job, whose other files may be of another format.
    """

    shape: TableShape
    is_sparse = False

    def queries(self, slices: Sequence[FileSlice], gathering: Gathering) -> Iterator[str]:
        """Yield queries; see ``Scan``."""
        files = []
        for part in slices:
            file = _readable_lines(part, gathering)
            # A name that tells nothing, and nothing in it: it may be a part of any format.
            if self.shape.columns == _LINES or not _is_empty(part, file, CsvSpec()):
                files.append(file)
        if files:
            lines = LineStream([(file.path, file.name, file.start, file.end) for file in files])
            gathering.lines.append(lines)
            yield f"SELECT * FROM {gathering.register(lines)}"


def _is_empty(part: FileSlice, file: LocalFile, csv: CsvSpec) -> bool:
    """Whether a slice from the beginning of a file on has no record."""
    if part.start:
        return False
    head = _head_of(file, part.format, csv)
    return head.is_all and not head.has_records


def _is_blank(file: LocalFile, format: DataFormat) -> bool:
    """Whether there are blank lines at most in a slice."""
    head = _head_of(file, format, CsvSpec(header=False))
    return head.is_all and head.is_blank


def _head_of(file: LocalFile, format: DataFormat, csv: CsvSpec) -> Head:
    with open(file.path, "rb") as stream:
        return read_head(stream, format, csv, step_bytes=_HEAD_BYTES)


def _readable_lines(part: FileSlice, gathering: Gathering) -> LocalFile:
    """Return where the lines of a slice are; with a sieve only those that are UTF-8."""
    file = gathering.brought(part, as_range=True)
    path = gathering.sifted(
        part, file.path, lambda _: lambda data: _check_text(file.name, data), start=file.start
    )
    return file if path == file.path else LocalFile(path, file.name, 0, os.stat(path).st_size)


def _check_text(name: str, data: bytes) -> None:
    Chunk(name, 0, data).text()


def _listed(paths: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, paths))}]"


def _footer(stream: BinaryIO, name: str) -> pq.FileMetaData:
    try:
        check_footer(stream, name=name)
        return pq.read_metadata(stream)
    except (pa.ArrowException, OSError) as exc:
        reason = in_one_line(str(exc))
        raise RecordError(f"{name}: is not a readable Parquet file: {reason}") from exc


def _rows_between(path: str, start: int, end: int) -> str:
    return (
        "SELECT * EXCLUDE (file_row_number) FROM "
        f"read_parquet({literal(path)}, file_row_number = true, hive_partitioning = false)"
        f" WHERE file_row_number BETWEEN {start} AND {end - 1}"
    )


def _through_arrow(
    stream: BinaryIO, footer: pq.FileMetaData, groups: tuple[int, int], gathering: Gathering
) -> str:
    """Return a query that reads the columns it needs of some row groups where they lie."""
    layout = ds.ParquetFileFormat()
    fragment = layout.make_fragment(pa.PythonFile(stream, "r"), row_groups=range(*groups))
    schema = footer.schema.to_arrow_schema()
    return f"SELECT * FROM {gathering.register(ds.FileSystemDataset([fragment], schema, layout))}"


def _read_json(paths: Sequence[str], shape: TableShape) -> str:
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in shape.columns)
    return (
        f"SELECT * FROM read_json({_listed(paths)}, format = 'newline_delimited', "
        f"auto_detect = false, columns = {{{columns}}}, hive_partitioning = false, "
        f"maximum_object_size = {_MAX_OBJECT_BYTES})"
    )


def _count_lines(path: str) -> int:
    count, last = 0, b"\n"
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            count += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
            last = block[-1:]
    return count + (last != b"\n")


def _as_line(item: Any) -> bytes:
    row = item if isinstance(item, dict) else {"line": item}
    return orjson.dumps(row) + b"\n"
