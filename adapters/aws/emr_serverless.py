"""Spark on EMR Serverless: a run is a job run of that name, ``<job>-<run>``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from adapters.aws.clients import endpoint_of, patience, session_of
from engine.errors import UnavailableError
from engine.failed_runs import FailedRun
from engine.job import JobId

if TYPE_CHECKING:
    from mypy_boto3_emr_serverless import EMRServerlessClient
    from mypy_boto3_emr_serverless.literals import JobRunStateType
    from mypy_boto3_emr_serverless.type_defs import (
        JobDriverTypeDef,
        JobRunSummaryTypeDef,
        SparkSubmitTypeDef,
    )

COMMAND_TIMEOUT_S: Final = 10.0
MAX_ATTEMPTS: Final = 5
DRIVER_ATTEMPTS: Final = 3
"""A driver that was lost begins again, and finds in the ledger what has been done."""
PAGE: Final = 50
LOOKS_BACK: Final = timedelta(hours=1)
"""For how long a job run that may not have ended yet is looked at after its time is up."""
LIVE: Final[Sequence[JobRunStateType]] = (
    "SUBMITTED",
    "PENDING",
    "SCHEDULED",
    "QUEUED",
    "RUNNING",
)
FAILED: Final[Sequence[JobRunStateType]] = ("FAILED", "CANCELLED")
SIZES: Final = {
    "spark.driver.cores": "4",
    "spark.driver.memory": "6g",
    "spark.driver.memoryOverhead": "8g",
    "spark.executor.cores": "4",
    "spark.executor.memory": "6g",
    "spark.executor.memoryOverhead": "8g",
}
"""Programs run in Python and DuckDB, outside of Java's heap, so more than half is left to them."""
_STARTED_OTHERWISE: Final = "ConflictException"
_UNKNOWN: Final = "ResourceNotFoundException"


def connect(environ: Mapping[str, str]) -> EMRServerlessClient:
    """Return a client; nothing is sent yet. It is safe to use from many threads.

    Args:
        environ: Where the standard AWS variables are, ``AWS_ENDPOINT_URL`` among them; boto3 finds
            roles of the machine by itself.
    """
    return session_of(environ).client(
        "emr-serverless",
        endpoint_url=endpoint_of(environ, "EMR_SERVERLESS"),
        config=patience(timeout_s=COMMAND_TIMEOUT_S, attempts=MAX_ATTEMPTS),
    )


@dataclass(frozen=True, slots=True)
class EmrServerless:
    """Implements ``engine.runner.Launcher`` and ``engine.failed_runs.RunWatcher``.

    Attributes:
        client: From ``connect``.
        application: Id of the application.
        role: ARN that job runs have the rights of.
        entry_point: Address of ``deploy/aws/spark_main.py`` in S3.
        environ: What driver and executors find in their environment; no secrets, since whoever may
            look at job runs sees them.
        parameters: Of ``spark-submit``, which come before everything else.
        timeout_minutes: After which EMR ends a job run; 0 for never.
    """

    client: EMRServerlessClient
    application: str
    role: str
    entry_point: str
    environ: Mapping[str, str] = field(repr=False)
    parameters: str = ""
    timeout_minutes: int = 1_440

    def start(self, job: JobId, run: int, *, is_small: bool) -> None:
        """Begin a run; see ``Launcher``. EMR knows by the name of one that it has begun."""
        name = _name(job, run)
        submit: SparkSubmitTypeDef = {
            "entryPoint": self.entry_point,
            "entryPointArguments": [job, str(run)],
        }
        if self.parameters:
            submit["sparkSubmitParameters"] = self.parameters
        driver: JobDriverTypeDef = {"sparkSubmit": submit}
        properties = {**SIZES, **self._environments()}
        try:
            with _translated():
                self.client.start_job_run(
                    applicationId=self.application,
                    clientToken=name,
                    executionRoleArn=self.role,
                    name=name,
                    jobDriver=driver,
                    configurationOverrides={
                        "applicationConfiguration": [
                            {"classification": "spark-defaults", "properties": properties}
                        ]
                    },
                    executionTimeoutMinutes=self.timeout_minutes,
                    retryPolicy={"maxAttempts": DRIVER_ATTEMPTS},
                    tags={"fanfold:job": job, "fanfold:run": str(run)},
                )
        except _RefusedError as exc:
            if exc.code != _STARTED_OTHERWISE:  # it was, before the settings were changed
                raise UnavailableError(str(exc)) from exc

    def resume(self, job: JobId, run: int) -> bool:
        """Return False: what has been done is the ledger's to know; see ``Launcher``."""
        return False

    def stop(self, job: JobId, run: int) -> None:
        """Cancel the job run of a run; see ``Launcher``."""
        name = _name(job, run)
        for found in self._job_runs(LIVE):
            if found.get("name") == name:
                try:
                    with _translated():
                        self.client.cancel_job_run(
                            applicationId=self.application, jobRunId=found["id"]
                        )
                except _RefusedError as exc:
                    if exc.code != _UNKNOWN:
                        raise UnavailableError(str(exc)) from exc

    def limit(self, job: JobId, run: int, *, max_concurrency: int | None, may_fail: bool) -> None:
        """Leave the phase that is under way as it is; see ``Launcher``. Later ones read it anew."""

    def failed_runs(self) -> Iterator[FailedRun]:
        """Yield runs whose job run failed or was cancelled; see ``RunWatcher``."""
        oldest = None
        if self.timeout_minutes:
            longest = timedelta(minutes=self.timeout_minutes)
            oldest = datetime.now(UTC) - longest - LOOKS_BACK
        for found in self._job_runs(FAILED, since=oldest):
            job, _, run = found.get("name", "").rpartition("-")
            if job and run.isdecimal():
                why = found["stateDetails"] or found["state"]
                yield FailedRun(JobId(job), int(run), f"EMR: {why}")

    def _environments(self) -> dict[str, str]:
        """Return the environment as Spark's properties, for driver and executors."""
        return {
            f"{prefix}.{name}": value
            for prefix in ("spark.emr-serverless.driverEnv", "spark.executorEnv")
            for name, value in self.environ.items()
        }

    def _job_runs(
        self, states: Sequence[JobRunStateType], *, since: datetime | None = None
    ) -> Iterator[JobRunSummaryTypeDef]:
        paginator = self.client.get_paginator("list_job_runs")
        rest = {} if since is None else {"createdAtAfter": since}
        pages = paginator.paginate(
            applicationId=self.application,
            states=states,
            PaginationConfig={"PageSize": PAGE},
            **rest,  # type: ignore[arg-type]
        )
        try:
            with _translated():
                for page in pages:
                    yield from page["jobRuns"]
        except _RefusedError as exc:
            raise UnavailableError(str(exc)) from exc


class _RefusedError(Exception):
    """EMR understood, and says no."""

    def __init__(self, exc: ClientError) -> None:
        super().__init__(f"EMR Serverless refuses: {exc}")
        self.code = exc.response.get("Error", {}).get("Code", "")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        raise _RefusedError(exc) from exc
    except ParamValidationError:
        raise
    except BotoCoreError as exc:
        raise UnavailableError(f"EMR Serverless does not answer: {exc}") from exc


def _name(job: JobId, run: int) -> str:
    return f"{job}-{run}"
