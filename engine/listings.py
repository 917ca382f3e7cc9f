"""What became of each batch: files that list those that succeeded, failed or never ran.

The shape is that of AWS Step Functions' ResultWriter, where a batch is a child execution: arrays of
objects in ``SUCCEEDED_0.json``, ``FAILED_0.json`` and ``PENDING_0.json``, of which empty ones are
left out. Beside its fields stand our own: ``Items``, ``FailedItems``, ``Attempts``, ``Location``.
Items that were set aside have an entry each among the failed; their batch has one among those that
succeeded, whose ``Items`` does not count them. So ``Items`` of all entries adds up to the source,
as long as no more items failed than a job keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from engine.job import ItemFailure, JobError, JobId, TaskId, TaskState

INCLUDED_BYTES: Final = 16 * 1024
"""Longer items of a batch that succeeded are left out: nobody needs them to try again."""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One map task, in short.

    Attributes:
        task: Its id.
        state: Where it stands; what runs is listed as pending.
        batch: ``Batch.to_json`` as JSON, as the ledger keeps it; None leaves it out.
        items: Items that were mapped, or were lost with the batch, or are known to be in it.
        failed_items: Items that were set aside.
        attempts: How often it was tried.
        started_at: When its last attempt began.
        finished_at: When that ended.
        error: Why it failed.
    """

    task: TaskId
    state: TaskState
    batch: bytes | None = None
    items: int = 0
    failed_items: int = 0
    attempts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: JobError | None = None


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some of a job's batches, in their order; ``following`` is where the next page begins."""

    records: tuple[BatchRecord, ...]
    following: int | None


class Records(Protocol):
    """The port to what became of a job's batches, which is small for each and may be many."""

    async def batches(self, job: JobId, *, first: int) -> RecordPage:
        """Return batches from number *first* on: as many as are about a megabyte together.

        Items of a batch that succeeded are left out where they are more than ``INCLUDED_BYTES``.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def failures(self, job: JobId, *, first: int) -> Sequence[ItemFailure]:
        """Return some failed items from number *first* on; none after the last.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...


class ListingStatus(StrEnum):
    """Which batches a file lists."""

    FAILED = "FAILED"
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True, slots=True)
class Listing:
    """A file of entries.

    Attributes:
        status: Of all its entries.
        name: The blob.
        entries: How many there are.
        size_bytes: Length of the blob.
        sha256: Digest of the blob in hex.
    """

    status: ListingStatus
    name: str
    entries: int
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """What it is called beside a manifest, such as ``FAILED_0.json``."""
        return listing_file(self.status)

    def to_json(self) -> dict[str, Any]:
        """Return its entry in a manifest, which ``from_json`` reads."""
        return {
            "Key": self.name,
            "Size": self.size_bytes,
            "Entries": self.entries,
            "Sha256": self.sha256,
        }

    @classmethod
    def from_json(cls, status: str, data: dict[str, Any]) -> Listing:
        """Read what ``to_json`` wrote."""
        return cls(
            status=ListingStatus(status),
            name=data["Key"],
            entries=data["Entries"],
            size_bytes=data["Size"],
            sha256=data["Sha256"],
        )


def listing_file(status: ListingStatus, *, attempt: int = 1) -> str:
    """Return the name by which callers know a listing, as an attempt delivers it."""
    return f"{status}_0.json" if attempt == 1 else f"{status}_0-a{attempt}.json"
