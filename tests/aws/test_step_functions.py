"""Jobs on Step Functions: the committed state machines, run by MiniStack with our function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.dynamodb.items import Due, now_ms
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.sweeper import DynamoSweeper
from engine.job import Job, JobError, JobState, TaskId
from engine.runner import Runner
from tests.support.aws.cloud import SOURCES, Cloud, running_cloud
from tests.support.client import Api
from tests.support.jobs import TENANT
from tests.support.killing import Stage, kill
from tests.support.ministack import ENVIRON
from tests.support.running import free_port, running_service
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

TEXT = "the quick brown fox\njumps over the lazy dog\n"
BY_CITY = "SELECT city, sum(amount) AS amount FROM input GROUP BY city ORDER BY city"
SALES = "city,amount\nOslo,10\nRome,5\nOslo,1\n"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One deployment for all tests."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        running.put("text", **{f"{n}.txt": f"{TEXT}file {n}\n" for n in range(3)})
        running.put("csv", **{f"{n}.csv": SALES for n in range(2)})
        running.put("poison", a="good\n", b="bad\n", c="fine\n")
        yield running


@pytest.fixture(scope="module")
def workers(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that reads the same objects."""
    folder = tmp_path_factory.mktemp("workers")
    sources = folder / "sources"
    sources.mkdir()
    settings = {**ENVIRON, "FANFOLD_S3_ENDPOINT": cloud.stack.endpoint}
    with running_service(
        folder / "data", sources, port=free_port(), workers=1, settings=settings
    ) as service:
        yield service.url


@pytest.fixture
async def api(workers: str) -> AsyncIterator[Api]:
    async with Api(workers) as client:
        yield client


def files_in(folder: str, **rest: Any) -> dict[str, Any]:
    return {"files": {"uris": [f"s3://{SOURCES}/{folder}/"], **rest}}


async def succeeded(cloud: Cloud, **spec: Any) -> Job:
    """A job that has run well."""
    job = await cloud.submit(**spec)
    ended = await cloud.end_of(job)
    assert ended.status.state is JobState.SUCCEEDED, ended.status.error
    return ended


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(
            {"program": "wordcount", "source": files_in("text"), "batching": {"maxBytes": 60}},
            id="words",
        ),
        pytest.param({"sql": BY_CITY, "source": files_in("csv")}, id="sql"),
        pytest.param(
            {"program": "lines", "source": files_in("text"), "batching": {"maxBytes": 60}},
            id="map only",
        ),
        pytest.param(
            {
                "program": "picky",
                "source": files_in("poison"),
                "failurePolicy": {
                    "badItems": "SKIP",
                    "toleratedFailureCount": 1,
                    "maxAttempts": 1,
                },
            },
            id="bad items",
        ),
        pytest.param({"program": "letters", "source": {"inline": ["ab", "b"]}}, id="async, small"),
    ],
)
async def test_a_job_gives_the_same_files_as_on_workers(
    cloud: Cloud, api: Api, spec: dict[str, Any]
) -> None:
    there = (await api.try_submit(**spec, waitUpToMs=20_000))["job"]
    job = await cloud.end_of(await cloud.submit(**spec, maxConcurrency=1))

    status, expected = there["status"], await api.result(there["id"])
    found = await cloud.manifest_of(job)

    assert status["result"] is not None, status
    assert job.status.state == status["state"]
    assert [file.sha256 for file in found.files] == [file["sha256"] for file in expected["files"]]
    assert job.status.result == status["result"]
    assert job.status.items.succeeded == status["items"]["succeeded"]
    assert job.status.items.failed == status["items"]["failed"]
    assert job.status.map.succeeded == status["map"]["succeeded"]


async def test_a_small_job_takes_the_express_way(cloud: Cloud) -> None:
    job = await succeeded(cloud, program="wordcount", source={"inline": ["a b", "b"]})

    [execution] = cloud.executions_of(job.id)

    assert execution.machine == "fanfold-express"
    assert {row["key"]: row["value"] for row in job.status.result or ()} == {"a": 1, "b": 2}


async def test_step_functions_lists_what_a_job_maps_file_by_file(cloud: Cloud) -> None:
    folder = cloud.put("listed", **{".hidden": "x", "a": "1", "b": "22", "c": "333"})
    cloud.stack.mark_folder(SOURCES, "listed/marked")

    job = await succeeded(
        cloud,
        program="lines",
        source={"files": {"uris": [folder], "mode": "OBJECTS"}},
        batching={"maxItems": 2},
    )
    rows = await cloud.rows_of(job)

    assert [(row["line"]["key"], row["line"]["size"]) for row in rows] == [
        ("listed/a", 1),
        ("listed/b", 2),
        ("listed/c", 3),
    ]
    assert job.status.items.total == 3
    assert [task.id for task in await cloud.tasks_of(job.id)] == ["map-0", "map-1", "map-2"]
    assert cloud.maps_of(job.id) == [("MapListing", 0)]


async def test_a_failed_batch_that_is_tolerated_is_mended_by_another_execution(
    cloud: Cloud,
) -> None:
    job = await cloud.submit(
        program="picky",
        source=files_in("poison"),
        batching={"maxItems": 1},
        maxConcurrency=1,
        failurePolicy={"toleratedFailureCount": 1},
    )
    ended = await cloud.end_of(job)
    await cloud.jobs.redrive(TENANT, job, params={"refuses": "nothing"}, idempotency_key=None)
    mended = await cloud.end_of(job, run=2)

    assert ended.status.state is JobState.PARTIALLY_SUCCEEDED, ended.status.error
    assert ended.status.items.failed == 1
    assert {row["key"] for row in ended.status.result or ()} == {"good", "fine"}
    assert {row["key"] for row in mended.status.result or ()} == {"good", "bad", "fine"}
    assert [execution.status for execution in cloud.executions_of(job)] == ["SUCCEEDED"] * 2


async def test_a_redrive_repeats_what_failed_in_the_same_execution(cloud: Cloud) -> None:
    job = await cloud.submit(
        program="picky",
        source=files_in("poison"),
        batching={"maxItems": 1},
        maxConcurrency=1,
        failurePolicy={"maxAttempts": 1},
    )
    failed = await cloud.end_of(job)

    await cloud.jobs.redrive(TENANT, job, params={"refuses": "nothing"}, idempotency_key=None)
    ended = await cloud.end_of(job, run=2)
    [execution] = cloud.executions_of(job)
    tasks = await cloud.tasks_of(job)

    assert failed.status.state is JobState.FAILED
    assert failed.status.error is not None
    assert failed.status.error.task_id == "map-1"
    assert ended.status.state is JobState.SUCCEEDED, ended.status.error
    assert {row["key"] for row in await cloud.rows_of(ended)} == {"good", "bad", "fine"}
    assert execution.status == "SUCCEEDED"
    assert sorted(cloud.maps_of(job)) == [("Map", 1), ("Reduce", 0)]
    assert [(task.id, task.attempts) for task in tasks] == [
        ("map-0", 1),
        ("map-1", 2),
        ("map-2", 1),
    ]


@pytest.mark.parametrize("where", ["reduce", "finish"])
async def test_a_redrive_goes_on_where_a_later_phase_failed(cloud: Cloud, where: str) -> None:
    job = await cloud.submit(
        program="fragile",
        params={"breaks": where},
        source=files_in("text"),
        batching={"maxBytes": 60},
        maxConcurrency=1,
    )
    failed = await cloud.end_of(job)

    await cloud.jobs.redrive(TENANT, job, params={"breaks": ""}, idempotency_key=None)
    ended = await cloud.end_of(job, run=2)

    assert failed.status.error is not None
    assert failed.status.error.task_id == f"{where}-0"
    assert ended.status.state is JobState.SUCCEEDED, ended.status.error
    assert ended.status.result_rows == 12
    assert {task.attempts for task in await cloud.tasks_of(job)} == {1}
    assert [execution.status for execution in cloud.executions_of(job)] == ["SUCCEEDED"]


async def test_a_redrive_of_a_listing_does_not_list_again(cloud: Cloud) -> None:
    folder = cloud.put("weighed", a="1", b="22", c="333")
    job = await cloud.submit(
        program="weighed",
        params={"breaks": "weighed/b"},
        source={"files": {"uris": [folder], "mode": "OBJECTS"}},
        batching={"maxItems": 1},
        maxConcurrency=1,
    )
    await cloud.end_of(job)
    cloud.put("weighed", **{"0": "4444"})

    await cloud.jobs.redrive(TENANT, job, params={"breaks": ""}, idempotency_key=None)
    ended = await cloud.end_of(job, run=2)

    assert ended.status.state is JobState.SUCCEEDED, ended.status.error
    assert ended.status.result == [{"key": "bytes", "value": 6}]
    assert sorted(cloud.maps_of(job)) == [("MapListing", 1), ("Reduce", 0)]


async def test_progress_shows_while_a_job_runs_and_a_task_whose_process_dies_runs_again(
    cloud: Cloud, stage: Stage
) -> None:
    cloud.put("held", a="one two\n", b="hold\n")

    job = await cloud.submit(
        program="held",
        params=stage.params("map"),
        source=files_in("held"),
        batching={"maxItems": 1},
    )
    process = await stage.begun()
    seen = await eventually_async(lambda: cloud.status(job).map.succeeded == 1, within_s=20)
    status = cloud.status(job)
    kill(process)
    ended = await cloud.end_of(job)

    assert seen
    assert (status.state, status.map.running, status.items.succeeded) == ("RUNNING", 1, 1)
    assert ended.status.state is JobState.SUCCEEDED, ended.status.error
    assert ended.status.map.retried == 1
    assert {row["key"]: row["value"] for row in await cloud.rows_of(ended)} == {
        "one": 1,
        "two": 1,
        "hold": 1,
    }


async def test_cancelling_stops_the_execution_and_what_runs_comes_to_nothing(
    cloud: Cloud, stage: Stage
) -> None:
    cloud.put("cancelled", a="hold\n")
    job = await cloud.submit(
        program="held", params=stage.params("map"), source=files_in("cancelled")
    )
    await stage.begun()

    await cloud.jobs.cancel(TENANT, job, reason="enough")
    ended = await cloud.end_of(job)
    stage.let_go()
    [execution] = cloud.executions_of(job)

    await cloud.jobs.redrive(TENANT, job, params=None, idempotency_key=None)
    again = await cloud.end_of(job, run=2)

    assert ended.status.state is JobState.CANCELLED
    assert execution.status == "ABORTED"
    assert ended.status.map.succeeded == 0
    assert again.status.result == [{"key": "hold", "value": 1}]


async def test_a_redrive_that_comes_before_the_execution_has_failed_goes_on_when_it_has(
    cloud: Cloud, stage: Stage
) -> None:
    cloud.put("early", a="hold\n")
    launchers = {Runner.STEP_FUNCTIONS: cloud.executions}
    sweeper = DynamoSweeper(cloud.table, cloud.blobs, launchers=launchers)
    ledger = DynamoRunLedger(cloud.table, cloud.blobs)
    job = await cloud.submit(program="held", params=stage.params("map"), source=files_in("early"))
    await stage.begun()
    ledger.end(job, 1, JobError("USER_CODE", "a task has failed for good"))
    await cloud.jobs.redrive(TENANT, job, params=None, idempotency_key=None)
    attempt = ledger.begin(job, TaskId("map-0"), worker="invoked before")
    [execution] = cloud.executions_of(job)

    cloud.client("stepfunctions").stop_execution(executionArn=execution.arn)
    stage.let_go()
    looks = await eventually_async(
        lambda: list(cloud.table.query(f"DUE#{Due.START}", below=f"{now_ms():013d}")), within_s=20
    )
    await sweeper.sweep()
    ended = await cloud.end_of(job, run=2)

    assert execution.status == "RUNNING"
    assert attempt is not None
    assert len(looks or ()) == 1
    assert ended.status.state is JobState.SUCCEEDED, ended.status.error
    assert ended.status.result == [{"key": "hold", "value": 1}]
    assert [each.status for each in cloud.executions_of(job)] == ["SUCCEEDED"]


@pytest.mark.parametrize(
    ("program", "code"), [("endless", "TASK_TIMEOUT"), ("exits", "TASK_CRASHED")]
)
async def test_a_task_that_does_not_end_by_itself_fails(
    cloud: Cloud, program: str, code: str
) -> None:
    job = await cloud.submit(
        program=program,
        source=files_in("poison"),
        failurePolicy={"taskTimeoutSeconds": 0.3, "maxAttempts": 1},
    )
    ended = await cloud.end_of(job)

    assert ended.status.state is JobState.FAILED
    assert ended.status.error is not None
    assert (ended.status.error.code, ended.status.error.task_id) == (code, "map-0")


async def test_a_run_fails_when_its_execution_is_ended_by_somebody_else(
    cloud: Cloud, stage: Stage
) -> None:
    cloud.put("ended", a="hold\n")
    job = await cloud.submit(program="held", params=stage.params("map"), source=files_in("ended"))
    await stage.begun()
    [execution] = cloud.executions_of(job)

    cloud.client("stepfunctions").stop_execution(executionArn=execution.arn)
    ended = await cloud.end_of(job)
    stage.let_go()

    assert ended.status.state is JobState.FAILED
    assert ended.status.error is not None
    assert ended.status.error.message == "Step Functions gave the run up: ABORTED"
