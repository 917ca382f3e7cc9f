"""Manifests: files that list the files to map.

Four kinds are told apart by what is in them:

- S3 Inventory's ``manifest.json``, whose data files are CSV, and such a CSV by itself: a line
  ``bucket,key[,size,...]`` for each object, keys URL-encoded;
- what Redshift and others write with UNLOAD: ``{"entries": [{"url": ..., "mandatory": ...}]}``;
- Athena's: a URI a line;
- the ``manifest.json`` of a Fanfold result, whose files lie beside it.

Files may be compressed with gzip. A name without a scheme lies in the manifest's own folder;
wildcards mean themselves. A listed file whose ETag is not told is looked up.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from posixpath import basename
from typing import Any, BinaryIO, Final, NoReturn, cast
from urllib.parse import unquote_plus

import orjson

from engine.errors import SourceError
from engine.source.file import SourceFile
from engine.source.sources import BLOB, Sources, identity_of
from engine.source.uri import scheme_of, shown

MAX_JSON_BYTES: Final = 64 * 1024 * 1024
MAX_LINE_CHARS: Final = 64 * 1024
LOOKUPS_AT_ONCE: Final = 16
_LOOKUPS_AHEAD: Final = 256
_GZIP: Final = b"\x1f\x8b"
_HEX_ETAG: Final = re.compile(r'"?([0-9a-f]{32}(?:-\d+)?)"?')
_BUCKET_ARN: Final = re.compile(r"(?:arn:aws[a-z-]*:s3:::)?([A-Za-z0-9._-]+)")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A listed file.

    Attributes:
        path: Where it is.
        place: Where it is listed, for messages.
        file: All that a listing would tell; None to look it up.
        is_mandatory: Whether it is an error if it does not exist.
    """

    path: str
    place: str
    file: SourceFile | None = None
    is_mandatory: bool = True


def manifest_files(uris: Iterable[str], sources: Sources) -> Iterator[SourceFile]:
    """Yield the files that manifests list, in their order, each once.

    Args:
        uris: The manifests, as callers wrote them; wildcards may name several.
        sources: Where the manifests and the files are.

    Raises:
        SourceError: A manifest is none, or a file that it lists cannot be read; the message
            names the manifest and the line or entry.
        UnavailableError: A store does not answer.
    """
    seen: set[str] = set()
    for manifest in sources.list_files(uris):
        for file in _looked_up(_entries(manifest, sources), sources):
            identity = identity_of(file.path)
            if identity not in seen:
                seen.add(identity)
                yield file


def result_files(path: str, sources: Sources) -> Iterator[SourceFile]:
    """Yield the files of a result by the path of its manifest, which need not be a caller's.

    Raises:
        SourceError: The manifest or a file of it does not exist any more.
        UnavailableError: A store does not answer.
    """
    manifest = _Manifest(sources.stat_file(path), sources)
    with manifest.opened() as stream:
        yield from _looked_up(manifest.of_result(manifest.json(stream)), sources)


def _entries(file: SourceFile, sources: Sources) -> Iterator[_Entry]:
    manifest = _Manifest(file, sources)
    with manifest.opened() as stream:
        if not _peek(stream).lstrip().startswith(b"{"):
            yield from manifest.of_lines(stream)
            return
        data = manifest.json(stream)
    if "fileSchema" in data:
        yield from manifest.of_inventory(data)
    elif "entries" in data:
        yield from manifest.of_unload(data)
    elif "files" in data:
        yield from manifest.of_result(data)
    else:
        manifest.refuse("is no manifest: it has neither entries nor files")


class _Manifest:
    """One manifest, and where messages say that it is."""

    def __init__(self, file: SourceFile, sources: Sources) -> None:
        self._file = file
        self._sources = sources
        self._name = sources.name_of(file.path)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open it, uncompressed.

        Raises:
            SourceError: It cannot be read, or is not what its first bytes say.
        """
        path, version = self._file.path, self._file.version
        with self._sources.open_file(path, version=version) as stream:
            is_compressed = stream.read(2) == _GZIP
            stream.seek(0)
            raw = gzip.GzipFile(fileobj=stream) if is_compressed else stream
            try:
                with io.BufferedReader(cast("io.RawIOBase", raw)) as buffered:
                    yield cast("BinaryIO", buffered)
            except (EOFError, gzip.BadGzipFile, zlib.error):
                self.refuse("its gzip data is damaged")
            except UnicodeDecodeError:
                self.refuse("is not UTF-8")

    def json(self, stream: BinaryIO) -> dict[str, Any]:
        """Read a JSON object.

        Raises:
            SourceError: It is none, or too large.
        """
        text = stream.read(MAX_JSON_BYTES + 1)
        if len(text) > MAX_JSON_BYTES:
            self.refuse(f"is larger than a JSON manifest may be, {MAX_JSON_BYTES} bytes")
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError as exc:
            self.refuse(f"line {exc.lineno}: is not JSON: {exc.msg}")
        if not isinstance(data, dict):
            self.refuse("is no manifest: it is not a JSON object")
        return cast("dict[str, Any]", data)

    def of_result(self, data: dict[str, Any]) -> Iterator[_Entry]:
        """Read the manifest of a result; its files are found by their own name beside it."""
        for place, entry in self._objects(data, "files"):
            name = self._text(entry, "name", place)
            path = self._path(name if scheme_of(name) else basename(name), place)
            yield _Entry(path, place)

    def of_unload(self, data: dict[str, Any]) -> Iterator[_Entry]:
        """Read a manifest with ``entries``."""
        for place, entry in self._objects(data, "entries"):
            path = self._path(self._text(entry, "url", place), place)
            yield _Entry(path, place, is_mandatory=entry.get("mandatory") is True)

    def of_inventory(self, data: dict[str, Any]) -> Iterator[_Entry]:
        """Read the data files of an inventory, all of which must be CSV."""
        if str(data.get("fileFormat", "CSV")).upper() != "CSV":
            self.refuse(f"fileFormat is {shown(str(data['fileFormat']))}, only CSV can be read")
        bucket = _BUCKET_ARN.fullmatch(str(data.get("destinationBucket", "")))
        if bucket is None:
            self.refuse("destinationBucket names no bucket")
        columns = [name.strip() for name in str(data["fileSchema"]).split(",")]
        for place, entry in self._objects(data, "files"):
            path = f"s3://{bucket[1]}/{self._text(entry, 'key', place)}"
            inner = _Manifest(self._sources.stat_file(path), self._sources)
            with inner.opened() as stream:
                yield from inner.of_lines(stream, columns)

    def of_lines(self, stream: BinaryIO, columns: Sequence[str] = ()) -> Iterator[_Entry]:
        """Read CSV: a URI a line, or bucket, key and more.

        Args:
            stream: The lines.
            columns: Their names; empty when they are to be guessed.
        """
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(self._lines(text), strict=True)
            while True:
                place = f"line {rows.line_num + 1}"
                try:
                    row = next(rows, None)
                except csv.Error as exc:
                    self.refuse(f"{place}: {exc}")
                if row is None:
                    return
                if row and not columns and rows.line_num == 1 and _is_header(row):
                    columns = row
                elif row:
                    entry = self._of_row(row, columns or _guessed(row), place)
                    if entry is not None:
                        yield entry

    def refuse(self, reason: str) -> NoReturn:
        """Raise the error that says what is wrong with the manifest."""
        raise SourceError(f"manifest {self._name}: {reason}", location=self._name)

    def _lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        number = 0
        while line := text.readline(MAX_LINE_CHARS):
            number += 1
            if len(line) == MAX_LINE_CHARS:
                self.refuse(f"line {number}: is longer than {MAX_LINE_CHARS} characters")
            yield line

    def _of_row(self, row: Sequence[str], columns: Sequence[str], place: str) -> _Entry | None:
        if len(row) == 1:
            return _Entry(self._path(row[0].strip(), place), place)
        if len(columns) != len(row):
            self.refuse(f"{place}: has {len(row)} fields, expected {len(columns)}")
        fields = {name.lower(): field for name, field in zip(columns, row, strict=True)}
        key = unquote_plus(fields.get("key", ""))
        is_gone = fields.get("isdeletemarker") == "true" or fields.get("islatest") == "false"
        if is_gone or key.endswith("/"):
            return None
        if not key or not _BUCKET_ARN.fullmatch(fields.get("bucket", "")):
            self.refuse(f"{place}: expected a bucket and a key, or a URI")
        path = self._path(f"s3://{fields['bucket']}/{key}", place)
        size, etag = fields.get("size", ""), _HEX_ETAG.fullmatch(fields.get("etag", ""))
        if etag is None or not size.isdecimal():
            return _Entry(path, place)
        modified = _modified_ms(fields.get("lastmodifieddate", ""))
        return _Entry(path, place, SourceFile(path, int(size), f'"{etag[1]}"', modified))

    def _objects(self, data: dict[str, Any], field: str) -> Iterator[tuple[str, dict[str, Any]]]:
        entries = data[field]
        if not isinstance(entries, list):
            self.refuse(f"{field} is not a list")
        for i, entry in enumerate(entries):
            place = f"{field}[{i}]"
            if not isinstance(entry, dict):
                self.refuse(f"{place}: is not an object")
            yield place, entry

    def _text(self, entry: dict[str, Any], field: str, place: str) -> str:
        value = entry.get(field)
        if not isinstance(value, str) or not value:
            self.refuse(f"{place}: has no {field}")
        return value

    def _path(self, name: str, place: str) -> str:
        """Return the path of a listed file.

        Raises:
            SourceError: The name could not have been listed, or is none.
        """
        scheme = scheme_of(name)
        if "\0" in name or not name or ".." in name.split("/") or scheme == BLOB:
            self.refuse(f"{place}: {shown(name)} is not the name of a file")
        if scheme:
            return name
        if name.startswith("file://"):
            return name.removeprefix("file://")
        if name.startswith("/"):
            return name
        return self._file.path.rpartition("/")[0] + "/" + name


def _looked_up(entries: Iterator[_Entry], sources: Sources) -> Iterator[SourceFile]:
    """Yield the files of *entries*, asking for several at once where something is not known."""

    def look_up(entry: _Entry) -> SourceFile | None:
        return entry.file or _stat(entry, sources)

    with ThreadPoolExecutor(LOOKUPS_AT_ONCE) as pool:
        while ahead := list(islice(entries, _LOOKUPS_AHEAD)):
            find: Callable[..., Iterator[SourceFile | None]] = (
                map if all(entry.file for entry in ahead) else pool.map
            )
            yield from filter(None, find(look_up, ahead))


def _stat(entry: _Entry, sources: Sources) -> SourceFile | None:
    try:
        return sources.stat_file(entry.path)
    except SourceError as exc:
        if not entry.is_mandatory:
            return None
        raise SourceError(
            f"{entry.place} of the manifest: {exc.message}", location=exc.location
        ) from exc


def _is_header(row: Sequence[str]) -> bool:
    return [name.strip().lower() for name in row[:2]] == ["bucket", "key"]


def _guessed(row: Sequence[str]) -> list[str]:
    """Name the columns of an inventory whose schema is not told."""
    names = ["bucket", "key", *(f"column{i}" for i in range(2, len(row)))]
    if len(row) > 2 and row[2].isdecimal():
        names[2] = "size"
    for i in range(3, len(row)):
        if _HEX_ETAG.fullmatch(row[i]):
            names[i] = "etag"
            break
    return names


def _modified_ms(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def _peek(stream: BinaryIO) -> bytes:
    return cast("io.BufferedReader", stream).peek(1024)
