"""The command ``fanfold`` as a program of its own, against a real service."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from app.client.service import Service
from tests.support.running import (
    RunningService,
    command,
    environment,
    fanfold,
    free_port,
    is_running,
    running_service,
    stop,
    url_of,
)

FOX = {"the": 2, "quick": 1, "brown": 1, "fox": 1, "jumps": 1, "over": 1, "lazy": 1, "dog": 1}
ESCAPE = "\x1b"


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def finished(service: RunningService) -> str:
    """A job that has counted the words of fox.txt."""
    return submitted_id(service.fanfold("submit", "wordcount", "fox.txt", "--wait"))


def submitted_id(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=30)
    return out, err


# ------------------------------------------------------------------ submit


def test_submit_prints_the_id_alone(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "fox.txt")

    assert done.returncode == 0
    assert done.stdout.startswith("j-")
    assert len(done.stdout.split()) == 1
    assert done.stderr == ""


def test_submit_and_watch_ends_with_a_summary(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "fox.txt", "--watch", "--name", "my words")

    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.endswith("  my words")
    assert last.startswith("succeeded in ")
    assert last.endswith("8 rows")


def test_submit_and_wait_prints_the_end_alone(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "fox.txt", "--wait")

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert "succeeded in " in done.stdout


def test_json_is_one_status_a_line_and_versions_rise(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "fox.txt", "--json")

    assert done.returncode == 0, done.stderr
    states = json_lines(done.stdout)
    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    assert [state["state"] for state in states][-1] == "SUCCEEDED"
    assert {row["key"]: row["value"] for row in states[-1]["result"]} == FOX
    assert done.stderr == ""


def test_json_and_wait_is_the_terminal_status_alone(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "fox.txt", "--json", "--wait")

    (state,) = json_lines(done.stdout)
    assert state["state"] == "SUCCEEDED"


def test_params_name_and_tags_reach_the_job(service: RunningService) -> None:
    words = ["--param", "top=1", "--name", "top word", "--tag", "a", "--tag", "b"]

    done = service.fanfold("submit", "wordcount", "fo?.txt", *words, "--json", "--wait")

    assert json_lines(done.stdout)[0]["result"] == [{"key": "the", "value": 2}]
    job = json_lines(service.fanfold("jobs", "--limit", "1", "--json").stdout)[0]
    assert job["name"] == "top word"


def test_a_dash_sends_standard_input(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "-", "--json", "--wait", stdin="a b\na\n")

    rows = json_lines(done.stdout)[0]["result"]
    assert {row["key"]: row["value"] for row in rows} == {"a": 2, "b": 1}


def test_a_failed_job_exits_1_and_says_why(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "bad.jsonl", "--wait")

    assert done.returncode == 1
    assert "failed after " in done.stdout
    assert "INVALID_RECORD" in done.stdout


def test_an_unknown_program_exits_3_with_the_nearest_name(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcuont", "fox.txt", "--watch")

    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == (
        "fanfold: PROGRAM: no program named 'wordcuont'; did you mean 'wordcount'?\n"
    )


def test_every_problem_of_an_input_has_its_line(service: RunningService) -> None:
    done = service.fanfold(
        "submit", "wordcount", "fox.txt", "--param", "top=0", "--param", "x=1", "--retention", "0"
    )

    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert any(line.startswith("fanfold: --param top: ") for line in lines)
    assert any(line.startswith("fanfold: --param x: ") for line in lines)


def test_a_source_that_is_not_there_exits_3(service: RunningService) -> None:
    done = service.fanfold("submit", "wordcount", "missing.txt")

    assert done.returncode == 3
    assert done.stderr == ("fanfold: missing.txt: no such file or folder below the source roots\n")


BY_LETTER = (
    "SELECT line[1] AS letter, count(*) AS n FROM input WHERE len(line) >= $least "
    "GROUP BY letter ORDER BY letter"
)
LETTERS = [{"letter": "j", "n": 1}, {"letter": "t", "n": 1}]


def test_a_query_is_submitted_without_a_program(service: RunningService) -> None:
    words = ["--sql", BY_LETTER, "fox.txt", "--param", "least=3"]

    done = service.fanfold("submit", *words, "--json", "--wait")
    shown = service.fanfold("submit", *words, "--watch")

    assert done.returncode == shown.returncode == 0, done.stderr + shown.stderr
    assert json_lines(done.stdout)[-1]["result"] == LETTERS
    assert shown.stdout.splitlines()[0].endswith("  sql")


def test_a_query_reads_standard_input(service: RunningService) -> None:
    words = ["--sql", "SELECT sum(a) AS total FROM input", "-", "--format", "jsonl"]

    done = service.fanfold("submit", *words, "--json", "--wait", stdin='{"a": 1}\n{"a": 2}\n')

    assert json_lines(done.stdout)[-1]["result"] == [{"total": 3}]


def test_reducers_and_output_format_reach_the_job(service: RunningService) -> None:
    words = ["--reducers", "3", "--output-format", "csv"]

    done = service.fanfold("submit", "wordcount", "fox.txt", *words, "--json", "--wait")

    (state,) = json_lines(done.stdout)
    assert state["reduce"]["succeeded"] == 3
    assert {row["key"]: row["value"] for row in state["result"]} == FOX
    saved = service.fanfold("result", state["id"], "--format", "csv").stdout
    assert {row["key"] for row in csv.DictReader(io.StringIO(saved))} == set(FOX)


@pytest.mark.parametrize(
    ("words", "missing"),
    [([], "PROGRAM"), (["wordcount"], "URI"), (["--sql", "SELECT 1"], "URI")],
)
def test_what_is_missing_is_told(service: RunningService, words: list[str], missing: str) -> None:
    done = service.fanfold("submit", *words)

    assert done.returncode == 3
    assert done.stderr == (
        f"fanfold: Missing argument '{missing}'; 'fanfold submit --help' tells more\n"
    )


def test_a_query_that_is_wrong_is_told(service: RunningService) -> None:
    done = service.fanfold("submit", "--sql", "SELECT lines FROM input", "fox.txt")

    assert done.returncode == 3
    assert done.stderr.startswith("fanfold: --sql: ")
    assert "lines" in done.stderr


# ------------------------------------------------------------------ watch and cancel


def test_watching_a_finished_job_shows_its_end(service: RunningService, finished: str) -> None:
    done = service.fanfold("watch", finished)

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("succeeded in ")


@pytest.mark.parametrize("words", [["watch"], ["result"], ["cancel"]])
def test_a_job_that_does_not_exist_exits_3(service: RunningService, words: list[str]) -> None:
    done = service.fanfold(*words, "j-0")

    assert done.returncode == 3
    assert done.stderr.startswith("fanfold: no job 'j-0'")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_leaves_the_job_running_and_says_how_to_watch_again(
    service: RunningService, gate: Path
) -> None:
    job = service.submit_gate(gate)
    with service.started("watch", job, "--json") as watching:
        assert json.loads(next_line(watching))["id"] == job

        watching.send_signal(signal.SIGINT)

        _, err = finish(watching)
    assert watching.returncode == 130
    assert err == f"fanfold: job {job} goes on; 'fanfold watch {job}' follows it again\n"
    gate.write_text("open")
    assert service.fanfold("watch", job).returncode == 0


def test_a_cancelled_job_exits_1_with_the_reason(service: RunningService, gate: Path) -> None:
    job = service.submit_gate(gate)
    with service.started("watch", job) as watching:
        assert next_line(watching).startswith(job)

        cancelled = service.fanfold("cancel", job, "--reason", "changed my mind")

        assert cancelled.returncode == 0
        assert cancelled.stdout.startswith(f"{job} CANCEL")
        out, _ = finish(watching)
    assert watching.returncode == 1
    assert "cancelled after " in out.splitlines()[-1]
    assert "changed my mind" in out.splitlines()[-1]


def test_a_terminal_gets_bars(service: RunningService, finished: str) -> None:
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(
        command("watch", finished),
        env=environment({"FANFOLD_URL": service.url, "TERM": "xterm"}),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)

    drawn = b"".join(chunks_of(ours)).decode()

    assert watching.wait(30) == 0
    assert ESCAPE in drawn
    assert "━" in drawn
    assert "succeeded in " in drawn


def chunks_of(terminal: int) -> Iterator[bytes]:
    """Read until every program has left the terminal."""
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        while True:
            try:
                chunk = stream.read(4096)
            except OSError:  # how Linux says that nobody is there any more
                return
            if not chunk:
                return
            yield chunk


@pytest.mark.parametrize(
    "words", [["watch"], ["result", "--format", "table"], ["result"], ["jobs"], ["watch", "--json"]]
)
def test_a_pipe_gets_no_escape_codes(
    service: RunningService, finished: str, words: list[str]
) -> None:
    name, *options = words
    done = service.fanfold(name, *([] if name == "jobs" else [finished]), *options)

    assert done.returncode == 0
    assert done.stdout
    assert ESCAPE not in done.stdout + done.stderr


# ------------------------------------------------------------------ result and jobs


def test_rows_are_json_lines_in_a_pipe(service: RunningService, finished: str) -> None:
    done = service.fanfold("result", finished)

    assert {row["key"]: row["value"] for row in json_lines(done.stdout)} == FOX


def test_rows_as_csv_have_a_header(service: RunningService, finished: str) -> None:
    done = service.fanfold("result", finished, "--format", "csv")

    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["key"]: int(row["value"]) for row in rows} == FOX


@pytest.mark.parametrize("kept", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("wanted", ["jsonl", "csv", "parquet"])
def test_a_result_is_saved_in_any_format(
    service: RunningService, tmp_path: Path, kept: str, wanted: str
) -> None:
    done = service.fanfold("submit", "wordcount", "fox.txt", "--output-format", kept, "--wait")
    path = tmp_path / "saved"

    saved = service.fanfold("result", submitted_id(done), "--format", wanted, "-o", str(path))

    assert (saved.returncode, saved.stdout, saved.stderr) == (0, "", "")
    assert rows_of_file(path, wanted) == FOX
    assert list(tmp_path.iterdir()) == [path]


def rows_of_file(path: Path, row_format: str) -> dict[str, int]:
    rows: list[dict[str, Any]]
    if row_format == "parquet":
        rows = pq.read_table(path).to_pylist()
    elif row_format == "csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = json_lines(path.read_text())
    return {row["key"]: int(row["value"]) for row in rows}


def test_parquet_goes_through_a_pipe(
    service: RunningService, finished: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        command("result", finished, "--format", "parquet"),
        env=environment({"FANFOLD_URL": service.url}),
        capture_output=True,
        check=True,
    )
    path = tmp_path / "piped"
    path.write_bytes(done.stdout)

    assert rows_of_file(path, "parquet") == FOX


def test_a_limit_holds_in_every_format(
    service: RunningService, finished: str, tmp_path: Path
) -> None:
    for row_format in ("jsonl", "csv", "parquet"):
        path = tmp_path / row_format
        words = ["--format", row_format, "--limit", "2", "-o", str(path)]

        assert service.fanfold("result", finished, *words).returncode == 0
        assert len(rows_of_file(path, row_format)) == 2


def test_a_result_that_cannot_be_saved_leaves_what_was_there(
    service: RunningService, finished: str, tmp_path: Path
) -> None:
    path = tmp_path / "there"
    path.write_text("precious")

    unknown = service.fanfold("result", "j-0", "-o", str(path))
    nowhere = service.fanfold("result", finished, "-o", str(tmp_path / "none" / "x"))
    table = service.fanfold("result", finished, "--format", "table", "-o", str(path))

    assert [done.returncode for done in (unknown, nowhere, table)] == [3, 3, 3]
    assert nowhere.stderr.endswith("/none/x cannot be written: No such file or directory\n")
    assert nowhere.stderr.count("\n") == 1
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_says_what_it_leaves_out(service: RunningService, finished: str) -> None:
    done = service.fanfold("result", finished, "--format", "table", "--limit", "3")

    assert len([line for line in done.stdout.splitlines() if line.strip()]) == 2 + 3
    assert done.stderr.startswith("5 more rows: ")


def test_a_result_of_many_pages_is_read_whole(service: RunningService, tmp_path: Path) -> None:
    words = "\n".join(f"w{number}" for number in range(2_500))
    job = submitted_id(service.fanfold("submit", "wordcount", "-", "--wait", stdin=words))

    rows = json_lines(service.fanfold("result", job).stdout)

    assert {row["key"] for row in rows} == set(words.split())
    assert len(json_lines(service.fanfold("result", job, "--limit", "1200").stdout)) == 1_200


def test_a_reader_that_leaves_early_is_no_failure_to_explain(
    service: RunningService, finished: str
) -> None:
    with service.started("result", finished) as reading:
        assert reading.stdout is not None
        assert reading.stderr is not None
        reading.stdout.close()

        assert reading.stderr.read() == ""
        assert reading.wait(30) == 1


def test_a_running_job_has_no_result_yet(service: RunningService, gate: Path) -> None:
    job = service.submit_gate(gate)

    done = service.fanfold("result", job)

    assert done.returncode == 3
    assert f"'fanfold watch {job}' follows it" in done.stderr
    assert service.fanfold("cancel", job).returncode == 0


def test_jobs_lists_the_newest_first(service: RunningService, finished: str) -> None:
    done = service.fanfold("jobs", "--limit", "2")

    assert done.returncode == 0
    assert done.stdout.splitlines()[2].split()[0] == finished


# ------------------------------------------------------------------ no service, wrong set-up


@pytest.mark.parametrize(
    "words", [["jobs"], ["watch", "j-1"], ["submit", "wordcount", "x"], ["cancel", "j-1"]]
)
def test_no_service_is_one_line_and_exit_4(words: list[str]) -> None:
    url = url_of(free_port())

    done = fanfold(*words, environ={"FANFOLD_URL": url})

    assert done.returncode == 4
    assert done.stderr == (
        f"fanfold: no service answers at {url}: start one with 'fanfold up', or give another "
        "address with --url or FANFOLD_URL\n"
    )


def test_something_else_at_the_address_is_told(service: RunningService) -> None:
    done = fanfold("jobs", "--url", f"{service.url}/livez", environ={})

    assert done.returncode == 3
    assert "is it the address of a service?" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("role", ["up", "api"])
def test_a_used_port_is_one_line_and_exit_2(role: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        environ = {"FANFOLD_DATA_DIR": str(tmp_path), "FANFOLD_REDIS_URL": "redis://127.0.0.1:1"}

        done = fanfold(role, "--port", port, environ=environ)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("role", ["up", "api", "worker"])
def test_a_data_folder_that_cannot_be_written_is_one_line_and_exit_2(
    role: str, tmp_path: Path
) -> None:
    occupied = tmp_path / "occupied"
    occupied.touch()

    done = fanfold(role, environ={"FANFOLD_DATA_DIR": str(occupied)})

    assert done.returncode == 2
    assert done.stderr == (
        "fanfold: FANFOLD_DATA_DIR: must be a folder that can be written, "
        f"got {occupied}: File exists\n"
    )


def test_wrong_settings_have_a_line_each_and_exit_2(tmp_path: Path) -> None:
    environ = {"FANFOLD_DATA_DIR": str(tmp_path), "FANFOLD_POTR": "1"}

    done = fanfold("up", "--port", "http", "--workers", "0", environ=environ)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "fanfold: FANFOLD_PORT: must be 1 to 65535, got 'http'",
        "fanfold: FANFOLD_WORKERS: must be 1 to 1024, got '0'",
        "fanfold: FANFOLD_POTR: no such setting, did you mean FANFOLD_PORT?",
    ]


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_role_without_redis_says_what_to_set(role: str, tmp_path: Path) -> None:
    environ = {"FANFOLD_DATA_DIR": str(tmp_path), "FANFOLD_PORT": str(free_port())}

    done = fanfold(role, environ=environ)

    assert done.returncode == 2
    assert done.stderr.startswith("fanfold: FANFOLD_REDIS_URL: ")
    assert done.stderr.count("\n") == 1


# ------------------------------------------------------------------ restarts


def test_a_watch_survives_a_restart(tmp_path: Path, gate: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        first = running_service(tmp_path / "data", tmp_path, port=port)
        with first as service:
            job = service.submit_gate(gate)
            watching = stack.enter_context(service.started("watch", job, "--json"))
            lines = [next_line(watching)]
        assert watching.stderr is not None
        assert "trying again" in watching.stderr.readline()
        stack.enter_context(running_service(tmp_path / "data", tmp_path, port=port))
        gate.write_text("open")

        out, err = finish(watching)

    assert watching.returncode == 0, err
    states = json_lines("".join(lines) + out)
    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    assert states[0]["state"] in ("QUEUED", "RUNNING")
    assert states[-1]["state"] == "SUCCEEDED"
    assert states[-1]["result"] == [{"said": "open"}]


def test_a_request_waits_for_a_service_that_was_there_before(tmp_path: Path) -> None:
    port = free_port()

    async def ask_across_a_restart() -> list[dict[str, Any]]:
        async with Service(url_of(port)) as client:
            with running_service(tmp_path / "data", tmp_path, port=port):
                await client.submit({"program": "wordcount", "source": {"inline": ["a"]}})
            asking = asyncio.create_task(client.jobs(limit=5))
            with ExitStack() as stack:
                again = running_service(tmp_path / "data", tmp_path, port=port)
                await asyncio.to_thread(stack.enter_context, again)
                return await asking

    (job,) = asyncio.run(ask_across_a_restart())

    assert job["program"] == {"name": "wordcount"}


# ------------------------------------------------------------------ demo


@pytest.mark.long
def test_the_demo_counts_the_standard_library_and_leaves_nothing_running(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("demo"),
        cwd=tmp_path,
        env=environment({"FANFOLD_PORT": "not looked at"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert next_line(demo).startswith("Counting the words")
        assert next_line(demo).startswith("j-")
        children = psutil.Process(demo.pid).children(recursive=True)
        out, err = finish(demo)

    assert demo.returncode == 0, err
    assert err == ""
    assert "succeeded in " in out
    assert " def " in out
    assert "█" * 40 in out
    assert "--keep" in out
    assert children
    assert not any(map(is_running, children))
    assert [path.name for path in (tmp_path / ".fanfold").iterdir()] == ["demo"]


@pytest.mark.long
def test_a_demo_that_is_kept_answers_until_ctrl_c(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("demo", "--keep"),
        cwd=tmp_path,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        address = next(line for line in demo.stdout if line.startswith("GraphiQL")).split()[1]
        assert "Ctrl-C" in next(line for line in demo.stdout if "Ctrl-C" in line)

        listed = fanfold("jobs", "--url", address.removesuffix("/graphql"), environ={})
        stop(demo)

    assert "stdlib words" in listed.stdout
    assert demo.returncode == 0
