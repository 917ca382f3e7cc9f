"""What a state machine asks of the function for steps, and what it answers; names, never data.

The states are in ``adapters/aws/step_functions_definition.py``. Names of blobs are ours; a bucket
and a key are told where Step Functions itself reads or writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from adapters.aws.step_functions import MAX_CONCURRENCY
from adapters.aws.step_functions_listing import batch_of
from engine.errors import TaskCrashedError, TaskError, TaskTimeoutError
from engine.failed_runs import RUNNER_FAILED
from engine.job import JobError, JobId, TaskId, TaskKind, parse_task_id, task_id
from engine.live_runs import LiveRuns
from engine.plan_file import TaskReference, read_references, tasks_of
from engine.run_ledger import Phase, Retry
from workers.orchestrated import OrchestratedRun, Planned, TaskFailedError

Event = Mapping[str, Any]
Answer = dict[str, Any]

MAX_CHILDREN: Final = 1_000
"""Above that tasks share executions, each of which costs as much whatever it does."""
MAX_INLINE_TASKS: Final = 1_000
MAX_MESSAGE: Final = 1_000
ALL: Final = 100
_ENDED: Final = "Step Functions Execution Status Change"
_S3: Final = "s3://"


class StepEvents:
    """Calls the step that an event names.

    Args:
        run: Runs the steps.
        results: Where blobs are, ``s3://bucket`` or ``s3://bucket/prefix``.
        live: Tells which run is live.
    """

    def __init__(self, run: OrchestratedRun, results: str, live: LiveRuns) -> None:
        self._run = run
        self._live = live
        self._bucket, _, prefix = results.removeprefix(_S3).partition("/")
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""

    def handle(self, event: Event) -> Answer:
        """Return the answer to an event.

        Raises:
            TaskFailedError: A task has failed for good, and Step Functions is to see it.
            RunOverError: The run has ended.
            UnavailableError: The ledger does not answer.
        """
        if event.get("detail-type") == _ENDED:
            return self._ended(event["detail"])
        job = JobId(event["job"])
        match event["step"]:
            case "plan":
                return _unless_failed(lambda: self._plan(job, is_inline=event["inline"]))
            case "map":
                return _unless_failed(lambda: _again(self._map(job, event)))
            case "shuffle":
                return self._shuffle(job, event["form"])
            case "reduce":
                return _unless_failed(lambda: _again(self._reduce(job, event)))
            case "finish":
                return _unless_failed(lambda: self._finish(job))
            case "lost":
                return _again(self._run.lost(job, _tasks_of(event), _error_of(event["error"])))
            case "give_up":
                self._run.give_up(job, _tasks_of(event))
                return _again(Retry(0))
            case "failed":
                return self._failed(job, event["run"], event["error"])
        raise ValueError(f"no such step: {event['step']}")

    def _plan(self, job: JobId, *, is_inline: bool) -> Answer:
        found = self._run.plan(job)
        if isinstance(found, Retry):
            return {"next": "again", **_again(found)}
        answer = {
            "bucket": self._bucket,
            "reports": f"{self._prefix}jobs/{job}/runs/executions",
            **_limits(found.phase),
        }
        if found.listed is not None:
            source, _, prefix = found.listed.uri[len(_S3) :].partition("/")
            listed = {"source": source, "prefix": prefix, "perChild": found.listed.max_items}
            return {"next": "listing", **answer, **listed}
        return {
            "next": "map",
            **answer,
            "batches": found.batches,
            "tasks": self._prefix + tasks_of(found.batches),
            "perChild": max(1, math.ceil(found.phase.tasks / MAX_CHILDREN)),
            **({"items": self._references(found)} if is_inline else {}),
        }

    def _references(self, found: Planned) -> list[Answer]:
        if found.phase.tasks > MAX_INLINE_TASKS:
            raise TaskError(f"{found.phase.tasks} batches are too many for a small job")
        read = read_references(self._run.steps.blobs, found.batches)
        return [reference.to_json() for reference in read]

    def _map(self, job: JobId, event: Event) -> Retry | None:
        if "source" in event:
            batch = batch_of(event["source"], event["prefix"], event["tasks"])
            run = self._live.present(job)
            return None if run is None else self._run.map_listed(job, run, _number_of(event), batch)
        references = list(map(TaskReference.from_json, event["tasks"]))
        return self._run.map(job, event["batches"], references)

    def _shuffle(self, job: JobId, form: str) -> Answer:
        found = self._run.shuffle(job)
        return {
            "next": form if found.phase.kind is TaskKind.MAP else found.phase.kind.lower(),
            "index": found.index,
            "tasks": [
                {"task": task_id(TaskKind.REDUCE, number)} for number in range(found.phase.tasks)
            ],
            "perChild": 1,
            **_limits(found.phase),
        }

    def _reduce(self, job: JobId, event: Event) -> Retry | None:
        waits = []
        for each in event["tasks"]:
            _, number = parse_task_id(each["task"])
            retry = self._run.reduce(job, event["index"], number)
            waits += [] if retry is None else [retry.after_s]
        return Retry(max(waits)) if waits else None

    def _finish(self, job: JobId) -> Answer:
        found = self._run.finish(job)
        if isinstance(found, Retry):
            return {"next": "again", **_again(found)}
        if found is None:
            return {"next": "done"}
        return {"next": "reduce" if found.kind is TaskKind.REDUCE else "shuffle"}

    def _failed(self, job: JobId, run: int, error: Event) -> Answer:
        message = f"Step Functions gave the run up: {_message_of(error)}"
        self._run.ledger.end(job, run, JobError(RUNNER_FAILED, message, retryable=True))
        return {}

    def _ended(self, detail: Event) -> Answer:
        """Tell the ledger of an execution that has ended otherwise than well.

        One that had been given up already may have been about to fail when the next run began: that
        found it running, and redrove nothing. So it is redriven now, unless another one runs.
        """
        given = json.loads(detail["input"])
        job, run = JobId(given["job"]), given["run"] + (detail.get("redriveCount") or 0)
        live = self._live.present(job)
        if live is None:
            return {}
        if live > run:
            self._live.look(job, live)
            return {}
        error = {"Error": detail.get("error") or detail["status"], "Cause": detail.get("cause")}
        return self._failed(job, live, error)


def _unless_failed(run: Callable[[], Answer]) -> Answer:
    """Answer that a task has failed for good, instead of raising, which may cost a warm process."""
    try:
        return run()
    except TaskFailedError:
        return {**_again(None), "next": "failed", "failed": True}


def _limits(phase: Phase) -> Answer:
    return {
        "concurrency": phase.max_concurrency or MAX_CONCURRENCY,
        "tolerated": ALL if phase.may_fail else 0,
    }


def _again(retry: Retry | None) -> Answer:
    """Return whether to call again; the wait is a whole number of seconds."""
    return {
        "again": retry is not None,
        "failed": False,
        "afterSeconds": math.ceil(retry.after_s) if retry else 0,
    }


def _tasks_of(event: Event) -> list[TaskId]:
    """Return the tasks of what a child was given: references, or listed objects."""
    if "source" in event:
        return [task_id(TaskKind.MAP, _number_of(event))]
    return [TaskId(each["task"]) for each in event["tasks"]]


def _number_of(event: Event) -> int:
    """Return which batch of a listing a child was given: all but the last are full."""
    return int(event["tasks"][0]["index"]) // int(event["perChild"])


def _error_of(error: Event) -> JobError:
    """Return what ended a process, as Step Functions tells it."""
    message = _message_of(error)
    is_timeout = "timeout" in message.lower() or "timed" in message.lower()
    kind = TaskTimeoutError if is_timeout else TaskCrashedError
    return JobError(kind.code, f"the task's process ended: {message}", retryable=True)


def _message_of(error: Event) -> str:
    cause = error.get("Cause") or ""
    try:
        said = json.loads(cause).get("errorMessage") or ""
    except (ValueError, AttributeError):
        said = cause
    return f"{error.get('Error')}: {said}"[:MAX_MESSAGE].rstrip(": ")
