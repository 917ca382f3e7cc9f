"""What a peer is asked, and what it must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from bench.jobs import Job


@dataclass(frozen=True)
class Work:
    """One run of a job.

    Attributes:
        job: What to compute.
        paths: The files to read, in order.
        target: A Parquet file, or a folder of such, to write; there is nothing yet.
    """

    job: Job
    paths: list[str]
    target: Path

    def written_rows(self) -> int:
        """Return the number of rows of what was written, out of the footers."""
        files = self.target.rglob("*.parquet") if self.target.is_dir() else [self.target]
        return sum(pq.read_metadata(file).num_rows for file in files)


class Peer(Protocol):
    """Something else that could do the jobs.

    ``is_there`` and ``does`` are asked in the measuring process and import nothing heavy; the rest
    happens in the peer's own process. The number of rows is compared, the values are not.
    """

    @property
    def name(self) -> str:
        """As in the tables."""
        ...

    def is_there(self) -> bool:
        """Return whether it is installed."""
        ...

    def does(self, job: Job) -> bool:
        """Return whether the job makes sense for it."""
        ...

    def start(self, scratch: Path) -> None:
        """Get warm; what it needs of the disk goes below *scratch*."""

    def run(self, work: Work) -> int:
        """Compute, write the result where it is a table, and return its number of rows."""
        ...

    def close(self) -> None:
        """End what ``start`` began."""
