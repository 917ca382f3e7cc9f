"""What a log line looks like, what it must not show, and what is held back."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import GraphQLError

from app.telemetry.logs import HELD_BACK_S, WARNINGS_IN_A_ROW, SeldomWarnings
from engine.log_context import current_log_fields, log_fields
from schema.masking import for_client

ROOT = Path(__file__).parents[2]
LOGS = """
import logging, sys
from app.telemetry.logs import set_up_logging
from engine.log_context import log_fields
secrets = ["redis://u:p%40ss@h:1", "unix:///s?db=0&password=b%2Fird", "canary"]
set_up_logging(sys.argv[1], sys.argv[2], secrets=secrets)
"""


def logged(form: str, program: str, *, level: str = "INFO") -> list[str]:
    """Return what a process logs that sets up logging as ours do."""
    command = [sys.executable, "-c", LOGS + program, form, level]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return ended.stderr.splitlines()


def test_a_line_of_json_has_its_context_as_fields() -> None:
    (line,) = logged(
        "json",
        "with log_fields(job='j', task='map-1', attempt=2):\n"
        " logging.getLogger('workers.x').warning('it took %d s', 3)",
    )

    found = json.loads(line)
    assert found.pop("time")
    assert found == {
        "level": "WARNING",
        "logger": "workers.x",
        "message": "it took 3 s",
        "job": "j",
        "task": "map-1",
        "attempt": 2,
    }


def test_a_line_of_text_ends_with_its_context() -> None:
    (line,) = logged(
        "text", "with log_fields(job='j', attempt=2): logging.getLogger('app.x').info('so')"
    )

    assert line.endswith("INFO    app.x: so [job=j attempt=2]")


def test_what_a_caller_sent_begins_no_line_of_its_own() -> None:
    (line,) = logged("text", r"logging.getLogger('app.x').info('got %s', 'a\nERROR fake\x1b')")

    assert line.endswith(r"app.x: got a\nERROR fake\x1b")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("shown", "secret"),
    [
        ("Authorization: Bearer abc.def-1", "abc.def-1"),
        ("to https://user:word@host/x", "user:word"),
        ("with p@ss and p%40ss", "ss"),
        ("a canary", "canary"),
        ("a b/ird", "ird"),
        ("another b%2Fird", "ird"),
        ("eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.sig", "sig"),
    ],
)
def test_secrets_are_not_shown(form: str, shown: str, secret: str) -> None:
    (line,) = logged(form, f"logging.getLogger('app.x').info({shown!r})")

    assert "***" in line
    assert secret not in line.rpartition("app.x")[2].replace("message", "")


def test_libraries_say_no_more_at_debug() -> None:
    lines = logged(
        "text",
        "logging.getLogger('app.x').debug('ours')\n"
        "logging.getLogger('websockets.client').debug('headers')\n"
        "logging.getLogger('httpx').info('an address')",
        level="DEBUG",
    )

    assert [line.rpartition(": ")[2] for line in lines] == ["ours"]


def test_a_warning_that_comes_in_a_row_is_held_back_and_counted() -> None:
    now = 0.0
    seldom = SeldomWarnings(clock=lambda: now)
    shown = [seldom.filter(record(n)) for n in range(WARNINGS_IN_A_ROW + 7)]

    now = HELD_BACK_S
    later = record(0)
    assert seldom.filter(later)

    assert shown == [True] * WARNINGS_IN_A_ROW + [False] * 7
    assert later.getMessage() == "value 0 (and 7 more of these since)"


def test_an_error_is_never_held_back() -> None:
    seldom = SeldomWarnings(clock=lambda: 0.0)

    assert all(seldom.filter(record(n, logging.ERROR)) for n in range(WARNINGS_IN_A_ROW * 3))


def test_fields_end_with_their_block() -> None:
    with log_fields(job="a"):
        with log_fields(task="t"):
            assert current_log_fields() == {"job": "a", "task": "t"}
        assert current_log_fields() == {"job": "a"}
    assert current_log_fields() == {}


def test_a_masked_error_refers_to_its_request(caplog: pytest.LogCaptureFixture) -> None:
    with log_fields(request="4711"):
        shown = for_client(GraphQLError("", original_error=RuntimeError("what nobody may see")))

    assert shown.message == "internal error, reference 4711"
    assert "internal error 4711" in caplog.text


def record(value: int, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("app.x", level, __file__, 1, "value %d", (value,), None)
