"""The Spark job: ``python -m app.aws.spark JOB RUN``, or ``spark-submit`` of what calls ``main``.

Several pairs are worked on one after another, where starting Spark costs more than the jobs. It
ends with 1 when Spark failed.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Final

from app.aws.spark_process import run_of_process
from engine.errors import ConfigError
from engine.job import JobId
from workers.spark_job import Session, SparkJob
from workers.spark_tasks import CHUNKS_AT_ONCE

log = logging.getLogger(__name__)

MAX_FAILURES: Final = 101
"""More than any job's tries, which the ledger counts."""
_SETTINGS: Final = {
    "spark.speculation": "false",  # a rival would take the task away from who holds it
    "spark.task.maxFailures": str(MAX_FAILURES),
    "spark.sql.adaptive.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(CHUNKS_AT_ONCE),
}


def main() -> None:
    """Work on the runs that the arguments name."""
    pairs = _pairs(sys.argv[1:])
    run = run_of_process()
    is_well = True
    try:
        with _session() as session:
            spark = SparkJob(session, run, run_of_process)
            for job, number in pairs:
                try:
                    spark.work(job, number)
                except Exception:
                    log.exception("run %d of %s", number, job)
                    is_well = False
    finally:
        shutil.rmtree(run.steps.scratch, ignore_errors=True)
    sys.stderr.flush()
    os._exit(0 if is_well else 1)  # DuckDB complains about an interpreter that ends


def _pairs(words: list[str]) -> list[tuple[JobId, int]]:
    if not words or len(words) % 2:
        raise ConfigError("arguments: must be JOB RUN, or several such pairs")
    return [(JobId(job), int(run)) for job, run in zip(words[::2], words[1::2], strict=True)]


@contextmanager
def _session() -> Iterator[Session]:
    """Yield a session where Spark's own configuration has it, else on this machine."""
    os.environ.setdefault("MASTER", f"local[*,{MAX_FAILURES}]")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = import_module("pyspark.sql").SparkSession.builder.appName("fanfold")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


if __name__ == "__main__":
    main()
