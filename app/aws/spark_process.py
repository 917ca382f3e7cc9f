"""What a process of a Spark job works with, the driver and executors alike."""

from __future__ import annotations

import os
import socket
import tempfile
from functools import cache
from pathlib import Path

from app.aws.runs import run_of
from app.aws.settings import load_deployment
from app.aws.table import table_of
from app.garbage import collect_garbage_seldom
from app.runtime import log_to_stderr
from engine.sql.sandbox import MEMORY_BYTES
from workers.orchestrated import OrchestratedRun


@cache
def _run() -> OrchestratedRun:
    deployment = load_deployment(os.environ)
    log_to_stderr(deployment.common)
    collect_garbage_seldom()
    # Spark names its own folders to executors, and removes them at its end.
    place, *_ = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")
    return run_of(
        deployment,
        table_of(deployment.aws),
        worker=f"spark-{socket.gethostname()}-{os.getpid()}",
        scratch=Path(tempfile.mkdtemp(prefix="fanfold-", dir=place or None)),
        sql_bytes=MEMORY_BYTES,
        folders=deployment.common.source_roots,
    )


def run_of_process() -> OrchestratedRun:
    """Return the steps of this process, made from its settings when first asked for.

    Raises:
        ConfigError: A setting is wrong, or a program cannot be loaded.
    """
    return _run()
