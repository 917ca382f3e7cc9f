"""Step Functions as the system that dispatches the tasks of runs.

An execution is called ``<job>-<run>``; one that was redriven goes on under the name of the run that
it began with. Express executions are for small jobs: they cannot be found by name, stopped or
redriven, so the ledger alone ends them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from adapters.aws.clients import endpoint_of, patience, session_of
from engine.errors import UnavailableError
from engine.job import JobId

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

COMMAND_TIMEOUT_S: Final = 10.0
MAX_ATTEMPTS: Final = 5
MAX_PERCENTAGE: Final = 100.0
MAX_CONCURRENCY: Final = 500
"""Where the job leaves it open: half of what an account may run at once by default."""
_EXISTS: Final = "ExecutionAlreadyExists"
_UNKNOWN: Final = "ExecutionDoesNotExist"
_NOT_REDRIVABLE: Final = ("ExecutionNotRedrivable", "ExecutionLimitExceeded", _UNKNOWN)
_RUNNING: Final = "RUNNING"
_MISTAKES: Final = (
    "InvalidName",
    "InvalidArn",
    "InvalidExecutionInput",
    "StateMachineDoesNotExist",
)


def connect(environ: Mapping[str, str]) -> SFNClient:
    """Return a client; nothing is sent yet. It is safe to use from many threads.

    Args:
        environ: Where the standard AWS variables are, ``AWS_ENDPOINT_URL`` among them; boto3 finds
            roles of the machine by itself.
    """
    return session_of(environ).client(
        "stepfunctions",
        endpoint_url=endpoint_of(environ, "SFN"),
        config=patience(timeout_s=COMMAND_TIMEOUT_S, attempts=MAX_ATTEMPTS),
    )


class StepFunctions:
    """Implements ``engine.runner.Launcher``.

    Args:
        client: From ``connect``.
        standard: ARN of the state machine for jobs of any size.
        express: ARN of the one for small jobs; None sends those to the other.
    """

    def __init__(self, client: SFNClient, *, standard: str, express: str | None = None) -> None:
        self._client = client
        self._standard = standard
        self._express = express

    def start(self, job: JobId, run: int, *, is_small: bool) -> None:
        """Begin a run; see ``Launcher``.

        A small job that is begun twice runs twice, of which one comes to nothing.
        """
        machine = self._express if is_small and self._express else self._standard
        try:
            with _translated():
                self._client.start_execution(
                    stateMachineArn=machine,
                    name=_name(job, run),
                    input=json.dumps({"job": job, "run": run}),
                )
        except _RefusedError as exc:
            if exc.code != _EXISTS:
                raise UnavailableError(str(exc)) from exc

    def resume(self, job: JobId, run: int) -> bool:
        """Have Step Functions repeat what failed; see ``Launcher``.

        False where the run before succeeded, was a small one, or ended more than 14 days ago; and
        where this run has an execution of its own.

        An execution that runs may have been redriven by an earlier call. It may also be about to
        fail, by what has ended the run before: so ask again after a while, or when it has failed.
        """
        execution = self._find(job, run)
        if execution is None:
            return False
        arn, status = execution
        if status == _RUNNING:
            return True
        if arn.endswith(f":{_name(job, run)}"):
            return False
        try:
            with _translated():
                self._client.redrive_execution(executionArn=arn, clientToken=f"{job}-{run}")
        except _RefusedError as exc:
            if exc.code not in _NOT_REDRIVABLE:
                raise UnavailableError(str(exc)) from exc
            return False
        return True

    def stop(self, job: JobId, run: int) -> None:
        """Dispatch no more tasks; see ``Launcher``."""
        execution = self._find(job, run)
        if execution is None or execution[1] != _RUNNING:
            return
        try:
            with _translated():
                self._client.stop_execution(
                    executionArn=execution[0], error="RunOver", cause=f"run {run} of {job} is over"
                )
        except _RefusedError:
            return  # it has ended by itself

    def limit(self, job: JobId, run: int, *, max_concurrency: int | None, may_fail: bool) -> None:
        """Change the map that is under way; see ``Launcher``. What begins later reads it anew."""
        execution = self._find(job, run)
        if execution is None or execution[1] != _RUNNING:
            return
        try:
            with _translated():
                for found in self._client.list_map_runs(executionArn=execution[0])["mapRuns"]:
                    if "stopDate" not in found:
                        self._client.update_map_run(
                            mapRunArn=found["mapRunArn"],
                            maxConcurrency=max_concurrency or MAX_CONCURRENCY,
                            toleratedFailurePercentage=MAX_PERCENTAGE if may_fail else 0.0,
                        )
        except _RefusedError:
            return  # it has ended meanwhile

    def _find(self, job: JobId, run: int) -> tuple[str, str] | None:
        """Return the execution that does *run*, and its status: it began with that run or before.

        None where there is none, as of a small job.
        """
        machine = self._standard.replace(":stateMachine:", ":execution:")
        for number in range(run, 0, -1):
            try:
                with _translated():
                    found = self._client.describe_execution(
                        executionArn=f"{machine}:{_name(job, number)}"
                    )
            except _RefusedError as exc:
                if exc.code != _UNKNOWN:
                    raise UnavailableError(str(exc)) from exc
            else:
                return found["executionArn"], found["status"]
        return None


class _RefusedError(Exception):
    """Step Functions understood, and says no."""

    def __init__(self, exc: ClientError) -> None:
        super().__init__(f"Step Functions refuses: {exc}")
        self.code = _code(exc)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        if _code(exc) in _MISTAKES:
            raise
        raise _RefusedError(exc) from exc
    except ParamValidationError:
        raise
    except BotoCoreError as exc:
        raise UnavailableError(f"Step Functions does not answer: {exc}") from exc


def _name(job: JobId, run: int) -> str:
    return f"{job}-{run}"


def _code(exc: ClientError) -> str:
    return exc.response.get("Error", {}).get("Code", "")
