"""Job ids as callers send them: anything may come, so look before asking the store."""

from __future__ import annotations

import re
from typing import Final

from engine.errors import NotFoundError
from engine.job import JobId

_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def job_id_from(text: str) -> JobId | None:
    """Return *text* as a job's id; None when no job can have it."""
    return JobId(text) if _PATTERN.fullmatch(text) else None


def require_job_id(text: str) -> JobId:
    """Return *text* as a job's id.

    Raises:
        NotFoundError: No job can have it.
    """
    known = job_id_from(text)
    if known is None:
        raise NotFoundError(no_such_job(text))
    return known


def no_such_job(text: str) -> str:
    """Say that a job does not exist, whether or not another tenant has it."""
    return f"no job {text[:64]!r}"
