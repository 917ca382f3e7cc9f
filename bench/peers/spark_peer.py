"""Spark: ``local[2]`` with few shuffle partitions, Spark SQL and, for Python, an RDD."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from importlib.util import find_spec
from operator import add
from pathlib import Path
from typing import Any

from bench.jobs import Job, Layout, Task
from bench.peers.peer import Work
from bench.peers.pool_peer import count_lines

_WORDS = (
    "SELECT word, count(*) AS n FROM"
    " (SELECT explode(split(line, ' ')) AS word FROM {table}) GROUP BY word"
)
_EVENTS = "user_id BIGINT, country STRING, url STRING, ts BIGINT, bytes BIGINT, status SMALLINT"
_SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "6g",
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "4",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


class SparkPeer:
    """Spark in one Java process, which keeps its columns' types from a given schema."""

    name = "Spark"

    def is_there(self) -> bool:
        return find_spec("pyspark") is not None and shutil.which("java") is not None

    def does(self, job: Job) -> bool:
        return True

    def start(self, scratch: Path) -> None:
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        sql: Any = import_module("pyspark.sql")
        builder = sql.SparkSession.builder.master("local[2]").appName("fanfold-bench")
        folders = {
            "spark.local.dir": str(scratch),
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        }
        for name, value in {**_SETTINGS, **folders}.items():
            builder = builder.config(name, value)
        self._session = builder.getOrCreate()

    def run(self, work: Work) -> int:
        if work.job.task is Task.REGEX:
            lines = self._session.sparkContext.textFile(",".join(work.paths))
            counts = lines.mapPartitions(_counted).reduceByKey(add)
            return len(counts.collectAsMap())
        self._frame(work).createOrReplaceTempView("input")
        query = _WORDS if work.job.task is Task.WORDS else work.job.task.value
        self._session.sql(query.replace("{table}", "input")).write.parquet(str(work.target))
        return work.written_rows()

    def close(self) -> None:
        self._session.stop()

    def _frame(self, work: Work) -> Any:
        read = self._session.read
        if work.job.layout is Layout.PARQUET:
            return read.parquet(*work.paths)
        if work.job.layout is Layout.CSV:
            return read.csv(work.paths, schema=_EVENTS, header=True)
        return read.text(work.paths).toDF("line")


def _counted(lines: Any) -> Any:
    return iter(count_lines(lines).items())
