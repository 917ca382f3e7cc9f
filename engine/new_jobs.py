"""What every job store does alike when a job is accepted."""

from __future__ import annotations

from hashlib import sha512
from typing import Any, Final

from engine.errors import QuotaExceededError
from engine.jobs import NewJob
from engine.jsonvalue import encode_again
from engine.quotas import Quotas

REDUCE_BYTES: Final = 8 * 1024 * 1024
"""What a reduce task should have at least, where the number of tasks is left to us."""


def digest_of(spec: dict[str, Any]) -> str:
    """Return what tells one input from another: 128 digits.

    Args:
        spec: As ``JobSpec.to_json`` gives it.
    """
    return sha512(encode_again(spec, is_sorted=True)).hexdigest()


def without_items(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what a task needs of the spec: its batch brings the items."""
    if spec["source"]["inline"] is None:
        return spec
    return {**spec, "source": {**spec["source"], "inline": []}}


def known_partitions(new: NewJob) -> int | None:
    """Return the number of partitions where it does not depend on the plan."""
    if new.is_map_only:
        return 0
    return 1 if new.has_one_reducer else new.spec.reducers


def quota_exceeded(quotas: Quotas, name: str, *, retry_after_s: float) -> QuotaExceededError:
    """Return what a tenant is told that has as much as it may have."""
    limits = {
        "live jobs": quotas.live_jobs,
        "queued tasks": quotas.queued_tasks,
        "submits a minute": quotas.submits_per_minute,
    }
    return QuotaExceededError(
        f"the tenant may have {limits[name]} {name}, and has as many", retry_after_s=retry_after_s
    )
