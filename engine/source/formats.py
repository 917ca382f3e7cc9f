"""Which format a file has."""

from __future__ import annotations

import os
from typing import Final

from engine.spec import DataFormat

_BY_SUFFIX: Final = {
    ".csv": DataFormat.CSV,
    ".jsonl": DataFormat.JSONL,
    ".ndjson": DataFormat.JSONL,
}


def detect_format(path: str, *, declared: DataFormat) -> DataFormat:
    """Return TEXT, CSV or JSONL: what was declared or, for AUTO, what the file's name says."""
    if declared is not DataFormat.AUTO:
        return declared
    return _BY_SUFFIX.get(os.path.splitext(path)[1].lower(), DataFormat.TEXT)
