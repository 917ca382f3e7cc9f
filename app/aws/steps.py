"""The Lambda function that runs the steps of jobs, as the state machines call them.

A function does one thing at a time, in a machine of its own, so programs run in this very process:
what ends it, Step Functions notices. It is wired for the first event, and serves those that follow.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.dynamodb.live_runs import DynamoLiveRuns
from app.aws.runs import run_of
from app.aws.settings import load_deployment
from app.aws.step_events import StepEvents
from app.aws.table import table_of
from app.garbage import collect_garbage_seldom
from app.runtime import log_to_stderr
from engine.errors import ConfigError
from engine.live_runs import LiveRuns
from workers.memory import give_back_memory
from workers.orchestrated import OrchestratedRun

MAX_LISTED_ITEMS: Final = 200
"""Of a batch: a state holds 256 KiB, and the longest keys have 1 KiB."""
LEFT_FOR_THE_LEDGER_S: Final = 10.0
SQL_MEMORY_SHARE: Final = 0.5
"""Of the function's memory; the rest is for Python, Arrow and what DuckDB does not count."""
MEGABYTE: Final = 1024 * 1024


class LambdaContext(Protocol):
    """What Lambda tells a handler beside the event, as far as it is used here."""

    aws_request_id: str
    memory_limit_in_mb: int | str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""
        ...


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run the step that *event* names; see ``StepEvents``."""
    wired = _wired(int(context.memory_limit_in_mb))
    left_s = context.get_remaining_time_in_millis() / 1000 - LEFT_FOR_THE_LEDGER_S
    run = replace(
        wired.run,
        worker=f"lambda-{context.aws_request_id}",
        ends_at=time.monotonic() + max(left_s, 1.0),
    )
    try:
        return StepEvents(run, wired.results, wired.live).handle(event)
    finally:
        give_back_memory()


@dataclass(frozen=True, slots=True)
class _Wired:
    run: OrchestratedRun
    results: str
    live: LiveRuns


@cache
def _wired(memory_mb: int) -> _Wired:
    """Make what all events of this process share.

    Raises:
        ConfigError: A setting is wrong, or results are not in S3.
    """
    deployment = load_deployment(os.environ)
    settings = deployment.common
    log_to_stderr(settings)
    if settings.result_uri is None or not settings.result_uri.startswith("s3://"):
        raise ConfigError("FANFOLD_RESULT_URI: must be s3://bucket/prefix here")
    table = table_of(deployment.aws)
    run = run_of(
        deployment,
        table,
        worker="lambda",
        scratch=Path(tempfile.mkdtemp(prefix="fanfold-")),
        sql_bytes=int(memory_mb * MEGABYTE * SQL_MEMORY_SHARE),
    )
    collect_garbage_seldom()
    run = replace(run, max_listed_items=MAX_LISTED_ITEMS)
    return _Wired(run, settings.result_uri, DynamoLiveRuns(table))
