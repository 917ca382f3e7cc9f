"""The name of a result file tells its format."""

from __future__ import annotations

from typing import Final

from engine.spec import DataFormat

_SUFFIXES: Final = {
    DataFormat.JSONL: "jsonl",
    DataFormat.CSV: "csv",
    DataFormat.PARQUET: "parquet",
}
_CONTENT_TYPES: Final = {
    "jsonl": "application/jsonl",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def with_suffix(name: str, format: DataFormat) -> str:
    """Return the name of a result file of *format*."""
    return f"{name}.{_SUFFIXES[format]}"


def format_of(name: str) -> DataFormat:
    """Return the format of a result file; JSON Lines where the name does not tell."""
    end = name.rpartition(".")[2]
    return next((format for format, suffix in _SUFFIXES.items() if suffix == end), DataFormat.JSONL)


def content_type_of(name: str) -> str:
    """Return the media type of a result file."""
    return _CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
