"""Listings of a job that is made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.blobs import BlobStore
from engine.job import ItemFailure
from engine.listing_writer import ListingWriter
from engine.listings import BatchRecord, Listing


def write_listings(
    records: Iterable[BatchRecord],
    failures: Iterable[ItemFailure] = (),
    *,
    job: str,
    machine: str,
    blobs: BlobStore,
    name_of: Callable[[str], str],
    scratch: Path,
    run: int = 1,
) -> tuple[Listing, ...]:
    """Write the listings of a job.

    Args:
        records: The job's map tasks, in any order.
        failures: The job's failed items.
        job: The job's id.
        machine: The program's name, or ``sql``.
        blobs: Where to.
        name_of: Gives the blob's name for a file's, such as ``FAILED_0.json``.
        scratch: A folder for temporary files.
        run: Of the job.
    """
    with ListingWriter(job=job, machine=machine, scratch=scratch, run=run) as writer:
        writer.add_batches(records)
        writer.add_failures(failures)
        return writer.store(blobs, name_of)
