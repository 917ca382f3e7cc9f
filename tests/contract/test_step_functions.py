"""The launcher as Step Functions hears it: requests as botocore writes them, on loopback.

RedriveExecution and UpdateMapRun are seen here alone: no emulator knows what they lead to.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.aws.step_functions import StepFunctions, connect
from engine.errors import UnavailableError
from engine.job import JobId
from tests.support.ministack import ENVIRON

JOB = JobId("j-1")
STANDARD = "arn:aws:states:us-east-1:000000000000:stateMachine:standard"
EXPRESS = "arn:aws:states:us-east-1:000000000000:stateMachine:express"
EXECUTION = "arn:aws:states:us-east-1:000000000000:execution:standard:"
UNKNOWN = "ExecutionDoesNotExist"


@dataclass
class Answers:
    """What Step Functions answers, by action; a string is an error."""

    by_action: dict[str, Any] = field(default_factory=dict)
    executions: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, action: str, given: dict[str, Any]) -> Any:
        self.asked.append((action, given))
        if action == "DescribeExecution":
            arn = given["executionArn"]
            status = self.executions.get(arn.removeprefix(EXECUTION))
            if status is None:
                return UNKNOWN
            found = {"executionArn": arn, "stateMachineArn": STANDARD, "startDate": 0}
            return {**found, "status": status}
        return self.by_action.get(action, {})

    def told(self, action: str) -> list[dict[str, Any]]:
        return [given for each, given in self.asked if each == action]


@contextmanager
def stand_in(answers: Answers) -> Iterator[StepFunctions]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answers.answer(action, given)
            is_error = isinstance(found, str)
            body = json.dumps({"__type": found} if is_error else found).encode()
            self.send_response(400 if is_error else 200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        client = connect({**ENVIRON, "AWS_ENDPOINT_URL": url})
        try:
            yield StepFunctions(client, standard=STANDARD, express=EXPRESS)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("is_small", "machine"), [(True, EXPRESS), (False, STANDARD)])
def test_a_run_begins_under_its_own_name(is_small: bool, machine: str) -> None:
    answers = Answers({"StartExecution": {"executionArn": EXECUTION + "j-1-1", "startDate": 0}})
    with stand_in(answers) as launcher:
        launcher.start(JOB, 1, is_small=is_small)

    [given] = answers.told("StartExecution")
    assert (given["name"], given["stateMachineArn"]) == ("j-1-1", machine)
    assert json.loads(given["input"]) == {"job": "j-1", "run": 1}


def test_a_run_that_was_begun_goes_on() -> None:
    with stand_in(Answers({"StartExecution": "ExecutionAlreadyExists"})) as launcher:
        launcher.start(JOB, 1, is_small=False)


def test_a_refusal_that_may_pass_is_told_as_such() -> None:
    answers = Answers({"StartExecution": "ExecutionLimitExceeded"})
    with stand_in(answers) as launcher, pytest.raises(UnavailableError, match="LimitExceeded"):
        launcher.start(JOB, 1, is_small=False)


def test_a_redrive_goes_on_with_the_execution_whatever_run_it_began_with() -> None:
    answers = Answers(
        executions={"j-1-2": "FAILED"}, by_action={"RedriveExecution": {"redriveDate": 0}}
    )
    with stand_in(answers) as launcher:
        is_resumed = launcher.resume(JOB, 4)

    assert is_resumed
    assert answers.told("RedriveExecution") == [
        {"executionArn": EXECUTION + "j-1-2", "clientToken": "j-1-4"}
    ]


@pytest.mark.parametrize(
    ("executions", "answer", "is_resumed"),
    [
        pytest.param({}, {}, False, id="of a small job, or unknown"),
        pytest.param({"j-1-1": "SUCCEEDED"}, "ExecutionNotRedrivable", False, id="that succeeded"),
        pytest.param({"j-1-1": "RUNNING"}, {}, True, id="that was redriven already"),
        pytest.param({"j-1-1": "FAILED", "j-1-2": "RUNNING"}, {}, True, id="beside the run's own"),
        pytest.param({"j-1-1": "FAILED", "j-1-2": "FAILED"}, {}, False, id="before the run's own"),
    ],
)
def test_an_execution_that_cannot_be_redriven(
    executions: dict[str, str], answer: Any, is_resumed: bool
) -> None:
    answers = Answers(executions=executions, by_action={"RedriveExecution": answer})
    with stand_in(answers) as launcher:
        assert launcher.resume(JOB, 2) is is_resumed

    is_refused = answer == "ExecutionNotRedrivable"
    assert len(answers.told("RedriveExecution")) == is_refused


def test_stopping_stops_what_runs_and_nothing_else() -> None:
    answers = Answers(executions={"j-1-1": "RUNNING"}, by_action={"StopExecution": {"stopDate": 0}})
    with stand_in(answers) as launcher:
        launcher.stop(JOB, 2)
        launcher.stop(JobId("j-2"), 1)

    [given] = answers.told("StopExecution")
    assert given["executionArn"] == EXECUTION + "j-1-1"


def test_new_limits_reach_the_maps_that_run() -> None:
    of = {"executionArn": EXECUTION + "j-1-1", "stateMachineArn": STANDARD, "startDate": 0}
    runs = [{**of, "mapRunArn": "map-a", "stopDate": 1}, {**of, "mapRunArn": "map-b"}]
    answers = Answers(executions={"j-1-1": "RUNNING"}, by_action={"ListMapRuns": {"mapRuns": runs}})
    with stand_in(answers) as launcher:
        launcher.limit(JOB, 1, max_concurrency=7, may_fail=True)

    assert answers.told("UpdateMapRun") == [
        {"mapRunArn": "map-b", "maxConcurrency": 7, "toleratedFailurePercentage": 100.0}
    ]


def test_a_service_that_does_not_answer_is_unavailable() -> None:
    client = connect({**ENVIRON, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    launcher = StepFunctions(client, standard=STANDARD)

    with pytest.raises(UnavailableError, match="does not answer"):
        launcher.stop(JOB, 1)
