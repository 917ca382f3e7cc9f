"""A run of a Spark job as a child process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from adapters.local_spark import LocalSpark
from engine.errors import UnavailableError
from engine.job import JobId
from tests.support.waiting import eventually

JOB = JobId("j-1")
WAITS = "import os, signal, sys; open(sys.argv[1] + str(os.getpid()), 'w'); signal.pause()"


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *args]


def test_a_run_has_one_process_until_it_is_stopped(tmp_path: Path) -> None:
    spark = LocalSpark(lambda job, run: python(WAITS, f"{tmp_path}/{job}-{run}-"))

    spark.start(JOB, 1, is_small=False)
    eventually(lambda: list(tmp_path.iterdir()), within_s=20)
    spark.start(JOB, 1, is_small=False)
    [begun] = tmp_path.iterdir()
    spark.stop(JOB, 1)
    spark.stop(JOB, 1)

    assert begun.name.startswith("j-1-1-")
    assert not psutil.pid_exists(int(begun.name.rpartition("-")[2]))
    assert list(spark.failed_runs()) == []


def test_a_process_that_fails_is_told_of(tmp_path: Path) -> None:
    spark = LocalSpark(lambda job, run: python(f"raise SystemExit({run})"), environ=os.environ)

    spark.start(JOB, 0, is_small=False)
    spark.start(JOB, 3, is_small=False)
    [failed] = eventually(lambda: list(spark.failed_runs()), within_s=20)

    assert (failed.job, failed.run, failed.why) == ("j-1", 3, "Spark's process ended with 3")
    eventually(lambda: not list(spark.failed_runs()), within_s=20)


def test_a_program_that_is_not_there_is_told_as_something_that_may_pass() -> None:
    spark = LocalSpark(lambda job, run: ["/nowhere/python"])

    with pytest.raises(UnavailableError, match="nowhere"):
        spark.start(JOB, 1, is_small=False)
