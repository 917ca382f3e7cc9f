"""A state as it is published to AppSync's subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from engine.job import JobStatus
from engine.status_json import ROWS, status_to_json, without_long_rows

MAX_BYTES: Final = 32 * 1024
"""AppSync charges for every 5 KB sent, to each subscriber."""


def publication_of(status: JobStatus, *, tenant: str, tags: Sequence[str]) -> dict[str, Any]:
    """Return *status* as the input of ``publishJobStatus``, of 32 KiB at most.

    Rows are left out where all of it would be longer: who wants them reads the job.
    """
    found = status_to_json(status) | {"tenant": tenant, "tags": list(tags)}
    for name in ROWS:
        rows = found[name]
        found[name] = None if rows is None else [orjson.dumps(row).decode() for row in rows]
    return without_long_rows(found, limit_bytes=MAX_BYTES)
