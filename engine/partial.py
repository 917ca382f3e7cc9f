"""The answer so far, as it is shown with a job's status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.jsonvalue import encode, is_encodable


def joined(rows: Iterable[bytes], *, limit_bytes: int) -> str | None:
    """Join encoded rows into a JSON array; None when it is too long, or nested too deep."""
    kept: list[bytes] = []
    size_bytes = 2
    for row in rows:
        kept.append(row)
        size_bytes += len(row) + 1
        if size_bytes > limit_bytes:
            return None
    text = b"[" + b",".join(kept) + b"]"
    return text.decode() if is_encodable(text) else None


def encoded(rows: Iterable[Mapping[str, Any]]) -> Iterable[bytes]:
    """Encode rows.

    Raises:
        OutputError: JSON cannot hold one.
    """
    return map(encode, rows)
