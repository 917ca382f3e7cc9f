"""What the command does with jobs beyond submitting and following them, against a real service."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from tests.support.running import RunningService

COUNT = "SELECT line, count(*) AS n FROM input GROUP BY line ORDER BY n"


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def said(service: RunningService, *words: str, stdin: str | None = None) -> str:
    done = service.fanfold(*words, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(service: RunningService, *words: str) -> list[str]:
    return [json.loads(line)["id"] for line in said(service, "jobs", "--json", *words).splitlines()]


# ------------------------------------------------------------------ submitting


def test_a_key_that_was_used_before_gives_the_same_job(service: RunningService) -> None:
    words = ["submit", "wordcount", "fox.txt", "--idempotency-key", "submitted-by-command"]

    first, second = said(service, *words), said(service, *words)
    other = service.fanfold(*words, "--param", "top=1")

    assert first == second
    assert other.returncode == 3
    assert other.stderr.endswith(f" was used with another input, that of {first}")


def test_a_job_that_takes_too_long_is_ended(service: RunningService, gate: Path) -> None:
    os.mkfifo(gate)
    words = ["submit", "gate", "-", "--timeout", "0.5", "--wait"]

    done = service.fanfold(*words, stdin=f"{gate}\n")

    assert done.returncode == 1
    assert "timed out after " in done.stdout


def test_batches_are_as_small_as_they_are_told_to_be(service: RunningService) -> None:
    words = ["submit", "wordcount", "-", "--batch-items", "2", "--json", "--wait"]

    (state,) = said(service, *words, stdin="a\nb\nc\n").splitlines()

    assert json.loads(state)["map"]["total"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--webhook", "nowhere"], "--webhook"),
        (["--output-uri", "/not/allowed"], "--output-uri"),
        (["--timeout", "0"], "--timeout"),
    ],
)
def test_what_the_service_refuses_of_a_job_is_told_with_its_place(
    service: RunningService, words: list[str], told: str
) -> None:
    done = service.fanfold("submit", "wordcount", "fox.txt", *words)

    assert done.returncode == 3
    assert done.stderr.startswith(f"fanfold: {told}")


def test_numbers_that_are_too_large_are_told_with_their_options(service: RunningService) -> None:
    words = ["--batch-bytes", "5000000000", "--retention", "99999d", "--tolerate", "99999999999"]

    submitted = service.fanfold("submit", "wordcount", "fox.txt", *words)
    updated = service.fanfold("update", "j-0", "--max-concurrency", "99999999999")

    assert submitted.returncode == updated.returncode == 3
    assert sorted(submitted.stderr.splitlines()) == [
        "fanfold: --batch-bytes: must be at most 2147483647, is 5000000000",
        "fanfold: --retention: must be at most 2147483647s, is 99999d",
        "fanfold: --tolerate: must be at most 2147483647, is 99999999999",
    ]
    assert updated.stderr == (
        "fanfold: --max-concurrency: must be at most 2147483647, is 99999999999\n"
    )


@pytest.mark.parametrize("command", ["submit", "plan"])
def test_more_than_a_request_holds_goes_in_a_file(service: RunningService, command: str) -> None:
    done = service.fanfold(command, "wordcount", "-", stdin="word\n" * 300_000)

    assert done.returncode == 3
    assert "larger than 1024 KiB" in done.stderr.splitlines()[0]
    assert "--upload" in done.stderr.splitlines()[1]


def test_numbers_that_no_double_holds_are_printed_with_every_digit(
    service: RunningService, tmp_path: Path
) -> None:
    query = "SELECT 46116860184273879035 AS sum, 123456789012345678.91 AS price, 0.5 AS half"
    words = ["submit", "--sql", f"{query} FROM input LIMIT 1", "fox.txt", "--wait", "--json"]
    digits = '{"sum":46116860184273879035,"price":123456789012345678.91,"half":0.5}'

    status = said(service, *words)
    job = json.loads(status)["id"]
    path = tmp_path / "saved"
    said(service, "result", job, "--format", "parquet", "-o", str(path))

    assert digits in status
    assert said(service, "result", job, "--limit", "1") == f"{digits}\n"
    assert said(service, "result", job, "--format", "csv").splitlines()[1] == (
        "46116860184273879035,123456789012345678.91,0.5"
    )
    assert "123456789012345678.91" in said(service, "result", job, "--format", "table")
    (row,) = pq.read_table(path).to_pylist()
    assert (row["sum"], row["price"]) == (46116860184273879035, Decimal("123456789012345678.91"))


def test_a_file_of_this_machine_is_sent_with_its_layout(
    service: RunningService, tmp_path: Path
) -> None:
    path = tmp_path / "sold.csv"
    path.write_text("oslo;1\nrome;2\n")
    words = ["submit", "--sql", "SELECT sum(n) AS n FROM input", str(path)]

    kept = service.fanfold(*words)
    sent = said(
        service,
        *words,
        "--upload",
        "--csv-delimiter",
        ";",
        "--csv-no-header",
        "--csv-columns",
        "city,n",
        "--json",
        "--wait",
    )

    assert kept.returncode == 3
    assert kept.stderr.splitlines()[-1] == f"fanfold: this machine has {path}: --upload sends it"
    assert json.loads(sent)["result"] == [{"n": 3}]


def test_a_result_is_the_input_of_the_next_job(service: RunningService) -> None:
    job = said(service, "submit", "wordcount", "fox.txt", "--wait").split()[0]
    words = ["--sql", "SELECT max(value) AS most FROM input", "--from-job", job]

    assert json.loads(said(service, "submit", *words, "--json", "--wait"))["result"] == [
        {"most": 2}
    ]
    assert said(service, "plan", *words).startswith("source")


def test_the_answer_so_far_is_asked_for(service: RunningService) -> None:
    words = ["submit", "wordcount", "fox.txt", "--partial-every", "250ms", "--json"]

    states = [json.loads(line) for line in said(service, *words).splitlines()]

    assert all({"partial", "coverage"} <= state.keys() for state in states)
    query = f'{{ job(id: "{states[-1]["id"]}") {{ spec }} }}'
    spec = httpx.post(f"{service.url}/graphql", json={"query": query}, trust_env=False).json()
    assert spec["data"]["job"]["spec"]["partialEveryMs"] == 250


# ------------------------------------------------------------------ sharing


def test_a_job_is_shared_by_a_link_that_holds_a_token(service: RunningService) -> None:
    job = said(service, "submit", "wordcount", "fox.txt", "--wait").split()[0]

    link = said(service, "share", job, "--ttl", "5m").strip()
    made = json.loads(said(service, "share", job, job, "--json"))

    assert link.startswith(f"{service.url}/#/jobs/{job}?token=fanv_")
    assert len(made["links"]) == 2
    assert service.fanfold("watch", job, "--token", made["token"]).returncode == 0
    too_long = service.fanfold("share", job, "--ttl", "2d")
    assert too_long.returncode == 3
    assert too_long.stderr == "fanfold: --ttl: must be 1s to 1d, is 2d\n"
    assert service.fanfold("share", job, "--ttl", "0.1").returncode == 0


# ------------------------------------------------------------------ planning


def test_a_plan_shows_the_steps_and_submits_nothing(service: RunningService) -> None:
    before = listed(service, "--limit", "1")

    shown = said(service, "plan", "--sql", COUNT, "fox.txt")

    assert [line.split()[0] for line in shown.splitlines()] == ["source", "map", "reduce", "finish"]
    assert "count_star" in shown
    assert listed(service, "--limit", "1") == before


def test_a_plan_as_json_is_the_whole_plan(service: RunningService) -> None:
    plan: dict[str, Any] = json.loads(said(service, "plan", "wordcount", "fox.txt", "--json"))

    assert plan["mapTasks"] == 1
    assert plan["warnings"] == []


def test_a_plan_of_what_cannot_run_is_refused_like_the_job(service: RunningService) -> None:
    planned = service.fanfold("plan", "wordcuont", "fox.txt")
    submitted = service.fanfold("submit", "wordcuont", "fox.txt")

    assert planned.returncode == submitted.returncode == 3
    assert planned.stderr == submitted.stderr


# ------------------------------------------------------------------ programs


def test_programs_are_listed_with_their_parameters(service: RunningService) -> None:
    lines = said(service, "programs").splitlines()

    (grep,) = (line for line in lines if line.startswith("grep "))
    assert "pattern, ignoreCase" in grep


def test_a_program_is_described_by_its_parameters(service: RunningService) -> None:
    rows = [line.split() for line in said(service, "programs", "grep").splitlines()[2:]]

    assert rows[0][:3] == ["pattern", "string", "required"]
    assert rows[1][:3] == ["ignoreCase", "boolean", "false"]


def test_a_program_that_is_not_there_is_refused(service: RunningService) -> None:
    done = service.fanfold("programs", "perg")

    assert done.returncode == 3
    assert done.stderr == "fanfold: no program 'perg': 'fanfold programs' lists them\n"


# ------------------------------------------------------------------ jobs that are there


def test_jobs_are_filtered_by_tag_state_and_program(service: RunningService) -> None:
    words = ["wordcount", "fox.txt", "--wait", "--tag"]
    job = said(service, "submit", *words, "filtered").split()[0]
    both = said(service, "submit", *words, "filtered", "--tag", "more").split()[0]
    bad = service.fanfold("submit", "wordcount", "bad.jsonl", "--tag", "filtered", "--wait")
    failed = bad.stdout.split()[0]
    tagged = ["--tag", "filtered"]

    assert listed(service, *tagged) == [failed, both, job]
    assert listed(service, *tagged, "--tag", "more") == [both]
    assert listed(service, *tagged, "--state", "failed") == [failed]
    assert listed(service, *tagged, "--state", "failed", "--state", "succeeded") == [
        failed,
        both,
        job,
    ]
    assert listed(service, *tagged, "--program", "grep") == []
    assert service.fanfold("jobs", "--tag", "nobody's").stderr == "no such jobs\n"


def test_a_live_job_is_updated(service: RunningService, gate: Path) -> None:
    job = service.submit_gate(gate)

    told = said(service, "update", job, "--add-tag", "late", "--tolerate", "5%")

    assert told.startswith(f"{job} ")
    assert listed(service, "--tag", "late") == [job]
    gate.write_text("open")
    assert service.fanfold("watch", job).returncode == 0
    ended = service.fanfold("update", job, "--tolerate", "7")
    assert ended.returncode == 3
    assert ended.stderr.startswith("fanfold: ")


def test_a_new_tolerance_takes_the_place_of_the_old(service: RunningService, gate: Path) -> None:
    os.mkfifo(gate)
    job = said(service, "submit", "gate", "-", "--tolerate", "2", stdin=f"{gate}\n").strip()

    said(service, "update", job, "--tolerate", "5%")

    query = f'{{ job(id: "{job}") {{ spec }} }}'
    spec = httpx.post(f"{service.url}/graphql", json={"query": query}, trust_env=False).json()
    policy = spec["data"]["job"]["spec"]["failurePolicy"]
    assert (policy["toleratedFailureCount"], policy["toleratedFailurePercentage"]) == (0, 5)
    said(service, "cancel", job)


def test_a_redrive_takes_other_params(service: RunningService) -> None:
    picky = ["submit", "picky", "-", "--param", "refuses=b", "--attempts", "1", "--wait"]
    job = service.fanfold(*picky, stdin="a\nb\n").stdout.split()[0]

    done = service.fanfold("redrive", job, "--param", "refuses=nothing", "--json", "--wait")

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["run"] == 2


def test_a_job_that_has_ended_is_erased_and_a_live_one_is_not(
    service: RunningService, gate: Path
) -> None:
    job = said(service, "submit", "wordcount", "fox.txt", "--wait").split()[0]
    live = service.submit_gate(gate)

    assert said(service, "delete", job) == f"{job} erased\n"

    assert service.fanfold("result", job).returncode == 3
    refused = service.fanfold("delete", live)
    assert refused.returncode == 3
    assert said(service, "cancel", live).startswith(live)


def test_a_result_is_waited_for(service: RunningService, gate: Path) -> None:
    job = service.submit_gate(gate)
    with service.started("result", job, "--wait") as waiting:
        gate.write_text("open")
        out, err = waiting.communicate(timeout=30)

    assert (waiting.returncode, err) == (0, "")
    assert json.loads(out) == {"said": "open"}
