"""The jobs of the data-plane measurements: what is asked, of which files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Task(Enum):
    """What is computed; the value is the SQL with the source as ``{table}``, if it is SQL."""

    WORDS = (
        "SELECT word, count(*) AS n FROM"
        " (SELECT unnest(string_split(line, ' ')) AS word FROM {table}) GROUP BY word"
    )
    GROUPS = (
        "SELECT country, status, count(*) AS events, sum(bytes) AS bytes, avg(bytes) AS mean,"
        " count(DISTINCT user_id) AS users FROM {table} GROUP BY country, status"
    )
    ROUGH_GROUPS = GROUPS.replace("count(DISTINCT user_id)", "approx_count_distinct(user_id)")
    USERS = "SELECT user_id, count(*) AS events, sum(bytes) AS bytes FROM {table} GROUP BY user_id"
    REGEX = ""


class Layout(Enum):
    """How the files are written; the value is the folder of the data."""

    TEXT = "words"
    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        name: As in the tables.
        what: In words.
        task: What is computed.
        layout: Of the files.
        files: Pattern below the folder of the data.
        goal: Largest ratio of Fanfold's time to that of DuckDB or the pool.
    """

    name: str
    what: str
    task: Task
    layout: Layout
    files: str
    goal: float

    def paths(self, folder: Path) -> list[str]:
        """Return the files below *folder*, in order."""
        return sorted(str(path) for path in folder.glob(self.files))


JOBS = [
    Job("J1", "word count, text", Task.WORDS, Layout.TEXT, "words/*.txt", 1.1),
    Job("J2a", "groups, approximate distinct, Parquet",
        Task.ROUGH_GROUPS, Layout.PARQUET, "parquet/*.parquet", 1.05),
    Job("J2p", "groups, exact distinct, Parquet",
        Task.GROUPS, Layout.PARQUET, "parquet/*.parquet", 1.1),
    Job("J2c", "groups, exact distinct, CSV", Task.GROUPS, Layout.CSV, "csv/*.csv", 1.1),
    Job("J3p", "sums per user, Parquet", Task.USERS, Layout.PARQUET, "parquet/*.parquet", 1.15),
    Job("J3c", "sums per user, CSV", Task.USERS, Layout.CSV, "csv/*.csv", 0.8),
    Job("J4", "Python regex per line, text", Task.REGEX, Layout.TEXT, "words/w0[0-3].txt", 0.95),
]  # fmt: skip


def picked(default: str = "") -> list[Job]:
    """Return the jobs that ``BENCH_JOBS`` names, else those of *default*, else all.

    Raises:
        SystemExit: There is no job of that name.
    """
    names = [name for name in os.environ.get("BENCH_JOBS", default).split(",") if name]
    known = {job.name: job for job in JOBS}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no job named {', '.join(unknown)}; known: {', '.join(known)}")
    return [known[name] for name in names] or JOBS
