"""Which format a file has, and how it is compressed.

The compression is told by the first bytes alone. The format is the declared one or, for AUTO, what
the name says, then what the content begins with: ``PAR1`` is Parquet; a ``.json`` file, or a file
without a suffix that begins like JSON, is JSONL when a whole value stands on its first line and
more follows, else a JSON document; anything else is TEXT.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import orjson

from engine.batch import Compression
from engine.errors import RecordError
from engine.source.chunk import BOM
from engine.source.compression import SUFFIXES, compression_of, decompressed_head
from engine.spec import DataFormat

HEAD_BYTES: Final = 64 * 1024
PARQUET_MAGIC: Final = b"PAR1"
_BY_SUFFIX: Final = {
    ".csv": DataFormat.CSV,
    ".jsonl": DataFormat.JSONL,
    ".ndjson": DataFormat.JSONL,
    ".json": DataFormat.JSON,
    ".parquet": DataFormat.PARQUET,
    ".pq": DataFormat.PARQUET,
}


@dataclass(frozen=True, slots=True)
class FileLayout:
    """What is needed to know before a file can be read.

    Attributes:
        format: Never AUTO.
        compression: Of the whole file; what Parquet compresses within does not count.
    """

    format: DataFormat
    compression: Compression

    @property
    def is_whole(self) -> bool:
        """Whether the file can only be read from start to end."""
        return self.compression is not Compression.NONE or self.format is DataFormat.JSON


def detect(
    head: bytes,
    name: str,
    declared: DataFormat,
    *,
    has_pointer: bool = False,
    label: str | None = None,
) -> FileLayout:
    """Return the layout of the file that begins with *head*.

    Args:
        head: The first 64 KiB, or all of a shorter file.
        name: Of the file; only its suffixes count.
        declared: What the caller says.
        has_pointer: Whether ``itemsPointer`` is given, which only a JSON document has.
        label: The file as callers know it, for messages; left out, its name.

    Raises:
        RecordError: It should be Parquet and is not, or is compressed as a whole.
    """
    compression = compression_of(head)
    format_ = declared
    if declared is DataFormat.AUTO:
        plain = decompressed_head(head, compression)
        format_ = _detected(plain, _suffix_of(name), is_all=len(head) < HEAD_BYTES)
        if has_pointer and format_ is DataFormat.JSONL and _suffix_of(name) in ("", ".json"):
            format_ = DataFormat.JSON
    if format_ is DataFormat.PARQUET:
        _check_parquet(head, label or name, compression)
    return FileLayout(format_, compression)


def _suffix_of(name: str) -> str:
    """Return the last suffix of *name*, in lower case, before one that names a compression."""
    stem, suffix = os.path.splitext(name.lower())
    return os.path.splitext(stem)[1] if suffix in SUFFIXES else suffix


def _detected(plain: bytes, suffix: str, *, is_all: bool) -> DataFormat:
    named = _BY_SUFFIX.get(suffix)
    if named not in (None, DataFormat.JSON):
        return named
    # The version of the page header follows: no text goes on like this.
    if plain.startswith(PARQUET_MAGIC) and plain[4:5] < b" ":
        return DataFormat.PARQUET
    if named is DataFormat.JSON or (not suffix and _begins_as_json(plain, is_all=is_all)):
        return DataFormat.JSONL if _has_json_lines(plain) else DataFormat.JSON
    return DataFormat.TEXT


def _has_json_lines(plain: bytes) -> bool:
    """Whether a JSON value ends with the first line that is not blank, and more follows."""
    first, _, rest = plain.removeprefix(BOM).lstrip().partition(b"\n")
    return bool(rest.strip()) and _is_json(first)


def _begins_as_json(plain: bytes, *, is_all: bool) -> bool:
    """Whether a file of no telling name may be taken for JSON: ``[info] started`` is a log."""
    content = plain.removeprefix(BOM).strip()
    if not content.startswith((b"{", b"[")):
        return False
    if _is_json(content) or _has_json_lines(plain):
        return True
    inner = content[1:].lstrip()
    # A document that is longer than the head, or spread over lines.
    return not is_all and inner.startswith((b'"', b"{", b"["))


def _is_json(content: bytes) -> bool:
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True


def _check_parquet(head: bytes, name: str, compression: Compression) -> None:
    if compression is not Compression.NONE:
        raise RecordError(
            f"{name}: a Parquet file compressed with {compression} cannot be read; "
            "Parquet compresses its own pages"
        )
    if not head.startswith(PARQUET_MAGIC):
        raise RecordError(f"{name}: is not a Parquet file: it does not begin with PAR1")
