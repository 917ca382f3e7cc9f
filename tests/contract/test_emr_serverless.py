"""The launcher as EMR Serverless hears it: requests as botocore writes them, on loopback.

Nothing here knows what they lead to.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.aws.emr_serverless import EmrServerless, connect
from engine.errors import UnavailableError
from engine.job import JobId
from tests.support.ministack import ENVIRON

JOB = JobId("j-1")
ROLE = "arn:aws:iam::000000000000:role/spark"
ENTRY = "s3://code/spark_main.py"
STARTED = {"applicationId": "app", "jobRunId": "r1", "arn": "arn"}


def job_run(name: str, state: str, *, id: str = "r1", details: str = "") -> dict[str, Any]:
    return {
        "applicationId": "app",
        "id": id,
        "name": name,
        "arn": "arn",
        "createdBy": "somebody",
        "createdAt": 0,
        "updatedAt": 0,
        "executionRole": ROLE,
        "state": state,
        "stateDetails": details,
        "releaseLabel": "emr-spark-8.0.0",
    }


@dataclass
class Answers:
    """What EMR answers, by method; a string is an error.

    Attributes:
        asked: Each request: method, path, query, body.
    """

    by_method: dict[str, list[Any]]
    asked: list[tuple[str, str, dict[str, list[str]], Any]] = field(default_factory=list)

    def told(self, method: str) -> list[tuple[str, dict[str, list[str]], Any]]:
        return [rest for each, *rest in self.asked if each == method]  # type: ignore[misc]


@contextmanager
def stand_in(answers: Answers, **settings: Any) -> Iterator[EmrServerless]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            given = self.rfile.read(int(self.headers["Content-Length"] or 0))
            url = urlsplit(self.path)
            answers.asked.append(
                (self.command, url.path, parse_qs(url.query), json.loads(given or b"null"))
            )
            found = answers.by_method[self.command].pop(0)
            is_error = isinstance(found, str)
            body = json.dumps({"message": "no"} if is_error else found).encode()
            self.send_response(400 if is_error else 200)
            if is_error:
                self.send_header("x-amzn-ErrorType", found)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        client = connect({**ENVIRON, "AWS_ENDPOINT_URL": url})
        environ = {"FANFOLD_AWS_TABLE": "jobs"}
        try:
            yield EmrServerless(
                client,
                application="app",
                role=ROLE,
                entry_point=ENTRY,
                environ=environ,
                **settings,
            )
        finally:
            client.close()
            server.shutdown()
            thread.join()


def test_a_run_is_a_job_run_of_that_name_with_our_settings_for_driver_and_executors() -> None:
    answers = Answers({"POST": [STARTED]})
    with stand_in(answers, parameters="--conf spark.executor.cores=8") as emr:
        emr.start(JOB, 2, is_small=False)

    [(path, _, given)] = answers.told("POST")
    [overrides] = given["configurationOverrides"]["applicationConfiguration"]
    assert path == "/applications/app/jobruns"
    assert (given["name"], given["clientToken"]) == ("j-1-2", "j-1-2")
    assert given["executionRoleArn"] == ROLE
    assert given["executionTimeoutMinutes"] == 1_440
    assert given["retryPolicy"] == {"maxAttempts": 3}
    assert given["tags"] == {"fanfold:job": "j-1", "fanfold:run": "2"}
    assert given["jobDriver"]["sparkSubmit"] == {
        "entryPoint": ENTRY,
        "entryPointArguments": ["j-1", "2"],
        "sparkSubmitParameters": "--conf spark.executor.cores=8",
    }
    assert overrides["classification"] == "spark-defaults"
    assert overrides["properties"].items() >= {
        ("spark.emr-serverless.driverEnv.FANFOLD_AWS_TABLE", "jobs"),
        ("spark.executorEnv.FANFOLD_AWS_TABLE", "jobs"),
        ("spark.executor.memoryOverhead", "8g"),
    }


def test_a_run_that_was_begun_with_other_settings_goes_on() -> None:
    with stand_in(Answers({"POST": ["ConflictException"]})) as emr:
        emr.start(JOB, 1, is_small=False)


@pytest.mark.parametrize("error", ["ResourceNotFoundException", "ValidationException"])
def test_a_refusal_is_told_as_such_so_that_somebody_asks_again(error: str) -> None:
    with (
        stand_in(Answers({"POST": [error]})) as emr,
        pytest.raises(UnavailableError, match=error),
    ):
        emr.start(JOB, 1, is_small=False)


def test_stopping_cancels_the_job_run_of_that_name_on_whatever_page_it_is() -> None:
    pages = [
        {"jobRuns": [job_run("j-1-2", "RUNNING", id="other")], "nextToken": "more"},
        {"jobRuns": [job_run("j-1-1", "RUNNING", id="r7")]},
    ]
    cancelled = {"applicationId": "app", "jobRunId": "r7"}
    answers = Answers({"GET": pages, "DELETE": [cancelled]})
    with stand_in(answers) as emr:
        emr.stop(JOB, 1)

    [(_, query, _), (_, later, _)] = answers.told("GET")
    assert "RUNNING" in query["states"]
    assert "FAILED" not in query["states"]
    assert later["nextToken"] == ["more"]
    assert [path for path, _, _ in answers.told("DELETE")] == ["/applications/app/jobruns/r7"]


def test_stopping_what_has_ended_does_nothing() -> None:
    ends_meanwhile = {"jobRuns": [job_run("j-1-1", "RUNNING")]}
    answers = Answers(
        {"GET": [{"jobRuns": []}, ends_meanwhile], "DELETE": ["ResourceNotFoundException"]}
    )
    with stand_in(answers) as emr:
        emr.stop(JOB, 1)
        emr.stop(JOB, 1)

    assert len(answers.told("DELETE")) == 1


def test_job_runs_that_failed_or_were_cancelled_lately_are_told_of() -> None:
    failed = [
        job_run("j-1-1", "FAILED", details="no capacity"),
        job_run("j-2-3", "CANCELLED"),
        job_run("somebody's", "FAILED"),
    ]
    answers = Answers({"GET": [{"jobRuns": failed}]})
    with stand_in(answers, timeout_minutes=60) as emr:
        found = [(each.job, each.run, each.why) for each in emr.failed_runs()]

    [(_, query, _)] = answers.told("GET")
    oldest = datetime.fromisoformat(query["createdAtAfter"][0])
    assert found == [("j-1", 1, "EMR: no capacity"), ("j-2", 3, "EMR: CANCELLED")]
    assert query["states"] == ["FAILED", "CANCELLED"]
    assert datetime.now(UTC) - oldest < timedelta(hours=3)


def test_a_run_is_never_resumed_but_begun_again() -> None:
    with stand_in(Answers({})) as emr:
        assert emr.resume(JOB, 2) is False
