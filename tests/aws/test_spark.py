"""Jobs on Spark: the entry point on ``local[2]``, one process for all jobs, and what came of them.

They are compared with the same jobs run step by step in this process.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.aws.step_functions import StepFunctions, connect
from adapters.dynamodb.items import meta_key
from adapters.dynamodb.jobs import DynamoJobs
from adapters.dynamodb.records import DynamoRecords
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.obstore.blobs import ObstoreBlobs
from adapters.obstore.sources import ObstoreSources
from engine.catalog import load_catalog
from engine.failed_runs import FailedRun, end_failed_runs
from engine.job import Job, JobId, JobState
from engine.output.destination import Destinations
from engine.plan_file import read_references
from engine.runner import Runner
from engine.source.sources import Sources
from engine.sql.runtime import SqlRuntime
from engine.steps import Steps
from tests.support.aws.cloud import SOURCES, Cloud
from tests.support.dynamo import new_table
from tests.support.jobs import TENANT
from tests.support.killing import Stage
from tests.support.ministack import ENVIRON, MiniStack
from tests.support.running import PROGRAMS
from tests.support.spark import spark_command, spark_environ
from tests.support.waiting import eventually
from workers.lister import Lister
from workers.orchestrated import OrchestratedRun, Planned

pytestmark = [pytest.mark.anyio, pytest.mark.long]

WITHIN_S: Final = 100.0
INLINE_BYTES: Final = 65_536
TEXT: Final = "the quick brown fox\njumps over the lazy dog\n"
SALES: Final = "city,amount\nOslo,10\nRome,5\nOslo,1\n"
BY_CITY: Final = "SELECT city, sum(amount) AS amount FROM input GROUP BY city ORDER BY city"


def files_in(folder: str, **rest: Any) -> dict[str, Any]:
    return {"files": {"uris": [f"s3://{SOURCES}/{folder}/"], **rest}}


COMPARED: Final[dict[str, dict[str, Any]]] = {
    "words": {
        "program": "wordcount",
        "source": files_in("text"),
        "batching": {"maxBytes": 60},
        "reducers": 3,
    },
    "sql": {"sql": BY_CITY, "source": files_in("csv")},
    "map only": {"program": "lines", "source": files_in("text"), "batching": {"maxBytes": 60}},
    "one by one": {
        "program": "letters",
        "source": files_in("text"),
        "batching": {"maxItems": 1},
        "maxConcurrency": 1,
    },
}
OTHERS: Final[dict[str, dict[str, Any]]] = {
    "redriven": {
        "program": "picky",
        "source": files_in("poison"),
        "batching": {"maxItems": 1},
        "maxConcurrency": 1,
        "failurePolicy": {"maxAttempts": 1},
    },
    "tolerant": {
        "program": "picky",
        "source": files_in("poison"),
        "batching": {"maxItems": 1},
        "failurePolicy": {"toleratedFailureCount": 1},
    },
    "dying": {
        "program": "dies_at_first",
        "source": files_in("poison"),
        "batching": {"maxItems": 1},
        "failurePolicy": {"backoffMs": 10},
    },
    "endless": {
        "program": "endless",
        "source": files_in("text"),
        "failurePolicy": {"maxAttempts": 1, "taskTimeoutSeconds": 0.3},
    },
    "always dying": {
        "program": "kills_itself",
        "source": files_in("poison"),
        "batching": {"maxItems": 1},
        "failurePolicy": {"maxAttempts": 2, "backoffMs": 10},
    },
}


@dataclass(frozen=True, slots=True)
class World:
    """What there is when Spark has ended.

    Attributes:
        cloud: Where jobs are.
        jobs: What was submitted, by name.
        exit_status: Of Spark.
    """

    cloud: Cloud
    jobs: dict[str, JobId]
    exit_status: int

    def job(self, name: str) -> Job:
        return asyncio.run(self.cloud.job(self.jobs[name]))

    def rows(self, job: Job) -> list[Any]:
        return asyncio.run(self.cloud.rows_of(job))


@pytest.fixture(scope="module")
def cloud(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """A store of jobs for Spark, which nothing starts by itself."""
    stack = MiniStack(s3_endpoint)
    stack.create_bucket(SOURCES)
    table = new_table(s3_endpoint)
    blobs = ObstoreBlobs.s3("s3://results/spark", s3_endpoint, environ=ENVIRON)
    found = Cloud(
        stack=stack,
        table=table,
        blobs=blobs,
        jobs=DynamoJobs(table, blobs, runner=Runner.SPARK),
        executions=StepFunctions(connect(ENVIRON), standard="none"),
        scratch=tmp_path_factory.mktemp("scratch"),
    )
    found.put("text", **{f"{n}.txt": f"{TEXT}file {n}\n" for n in range(3)})
    found.put("csv", **{f"{n}.csv": SALES for n in range(2)})
    found.put("poison", a="good\n", b="bad\n", c="fine\n")
    found.put("held", a="hold\n")
    return found


@pytest.fixture(scope="module")
def world(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Submit all jobs, let Spark work on them, cancel one and redrive one meanwhile."""
    folder = tmp_path_factory.mktemp("spark")
    stage = Stage(folder / "stage")
    held = {"program": "held", "source": files_in("held"), "params": stage.params("map")}
    specs = {**COMPARED, **OTHERS, "cancelled": held}
    jobs = {name: asyncio.run(cloud.submit(**spec)) for name, spec in specs.items()}
    runs = [*((job, 1) for job in jobs.values()), (jobs["redriven"], 2)]
    with running_spark(cloud, folder, runs) as process:

        def is_held() -> bool:
            assert process.poll() is None, "Spark ended"
            return any((folder / "stage").glob("map-0.*"))

        eventually(is_held, within_s=WITHIN_S)
        refusing_nothing = {"refuses": "nothing"}
        asyncio.run(
            cloud.jobs.redrive(
                TENANT, jobs["redriven"], params=refusing_nothing, idempotency_key=None
            )
        )
        asyncio.run(cloud.jobs.cancel(TENANT, jobs["cancelled"], reason="enough"))
        status = process.wait(WITHIN_S)
    return World(cloud, jobs, status)


@contextmanager
def running_spark(
    cloud: Cloud, folder: Path, runs: Sequence[tuple[JobId, int]]
) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        "AWS_ENDPOINT_URL": cloud.stack.endpoint,
        "FANFOLD_DATA_DIR": str(folder / "data"),
        "FANFOLD_RESULT_URI": "s3://results/spark",
        "FANFOLD_S3_ENDPOINT": cloud.stack.endpoint,
        "FANFOLD_PROGRAMS": str(PROGRAMS),
        "FANFOLD_AWS_TABLE": cloud.table.name,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": "--conf spark.ui.enabled=false pyspark-shell",
    }
    words = [str(word) for run in runs for word in run]
    environ = {**os.environ, **ENVIRON, **spark_environ(), **settings}
    with subprocess.Popen(spark_command(*words), env=environ, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def run_here(cloud: Cloud, job: JobId) -> Job:
    """Run a job step by step in this process."""
    sources = Sources({"s3": ObstoreSources(endpoint=cloud.stack.endpoint, environ=ENVIRON)})
    catalog = load_catalog([str(PROGRAMS)])
    steps = Steps(
        catalog=catalog,
        blobs=cloud.blobs,
        sources=sources,
        destinations=Destinations({}),
        scratch=cloud.scratch,
        inline_result_bytes=INLINE_BYTES,
        sql=SqlRuntime(catalog=catalog, sources=sources, folders=(), scratch=cloud.scratch).work,
    )
    ledger = DynamoRunLedger(cloud.table, cloud.blobs)
    lister = Lister(DynamoRecords(cloud.table, cloud.blobs), cloud.blobs, cloud.scratch / "lists")
    run = OrchestratedRun(ledger, steps, lister, worker="here", workers=2)
    planned = run.plan(job)
    assert isinstance(planned, Planned)
    for reference in read_references(cloud.blobs, planned.batches):
        run.map(job, planned.batches, [reference])
    shuffled = run.shuffle(job)
    if shuffled.index:
        for number in range(shuffled.phase.tasks):
            run.reduce(job, shuffled.index, number)
    run.finish(job)
    return asyncio.run(cloud.job(job))


@pytest.mark.parametrize("name", COMPARED)
def test_a_job_gives_the_same_files_as_elsewhere(world: World, name: str) -> None:
    job = world.job(name)
    other = run_here(world.cloud, asyncio.run(world.cloud.submit(**COMPARED[name])))
    found, expected = (asyncio.run(world.cloud.manifest_of(each)) for each in (job, other))

    assert job.status.state == other.status.state == JobState.SUCCEEDED, job.status.error
    assert [file.sha256 for file in found.files] == [file.sha256 for file in expected.files]
    assert job.status.result == other.status.result
    assert job.status.items == other.status.items
    assert job.status.map.succeeded == other.status.map.succeeded
    assert job.status.reduce.succeeded == other.status.reduce.succeeded


def test_a_failed_batch_that_is_tolerated_leaves_the_rest(world: World) -> None:
    job = world.job("tolerant")

    assert job.status.state is JobState.PARTIALLY_SUCCEEDED, job.status.error
    assert job.status.items.failed == 1
    assert {row["key"] for row in world.rows(job)} == {"good", "fine"}


def test_a_task_whose_process_dies_runs_again_in_map_and_in_reduce(world: World) -> None:
    job = world.job("dying")

    assert job.status.state is JobState.SUCCEEDED, job.status.error
    assert (job.status.map.retried, job.status.reduce.retried) == (1, 1)
    assert {row["key"]: row["value"] for row in world.rows(job)} == {"good": 1, "bad": 1, "fine": 1}


def test_a_task_that_ends_every_process_fails_the_job_when_its_tries_are_used_up(
    world: World,
) -> None:
    error = world.job("always dying").status.error

    assert error is not None
    assert (error.code, error.task_id) == ("TASK_CRASHED", "map-1")


def test_a_task_that_takes_too_long_is_interrupted(world: World) -> None:
    error = world.job("endless").status.error

    assert error is not None
    assert error.code == "TASK_TIMEOUT"


def test_cancelling_stops_what_spark_does_for_the_job_and_nothing_else(world: World) -> None:
    job = world.job("cancelled")

    assert job.status.state is JobState.CANCELLED
    assert job.status.map.succeeded == 0
    assert world.exit_status == 0


def test_a_redrive_runs_what_failed_and_reads_what_the_run_before_has_mapped(world: World) -> None:
    job = world.job("redriven")
    tasks = asyncio.run(world.cloud.tasks_of(job.id))

    assert job.status.state is JobState.SUCCEEDED, job.status.error
    assert {row["key"] for row in world.rows(job)} == {"good", "bad", "fine"}
    assert [task.attempts for task in tasks] == [1, 2, 1]


def test_a_run_that_its_runner_gave_up_is_ended(cloud: Cloud) -> None:
    class Watcher:
        def failed_runs(self) -> list[FailedRun]:
            return [FailedRun(job, 1, "EMR: no capacity")]

    job = asyncio.run(cloud.submit(**COMPARED["words"]))

    end_failed_runs(Watcher(), DynamoRunLedger(cloud.table, cloud.blobs))

    meta = cloud.table.get(meta_key(job))
    error = asyncio.run(cloud.job(job)).status.error
    assert meta is not None
    assert meta["state"] == JobState.FAILED
    assert error is not None
    assert (error.code, error.message) == ("RUNNER_FAILED", "the runner gave up: EMR: no capacity")
