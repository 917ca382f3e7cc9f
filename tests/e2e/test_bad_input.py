"""What happens to jobs whose input, data or program is wrong, and what does not to others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from tests.support.client import CANCEL, Api, pairs_of
from tests.support.killing import workers_of
from tests.support.running import RunningService, is_running

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
ONCE = {"maxAttempts": 1}
TWICE = {"maxAttempts": 2, "backoffMs": 1}


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    """A client; afterwards the workers that were there before must still run."""
    workers = workers_of(service)
    async with Api(service.url) as client:
        yield client
        assert pairs_of(await client.run("wordcount", ["still here"])) == {"still": 1, "here": 1}
    assert all(map(is_running, workers))


@pytest.fixture
def write(service: RunningService, tmp_path: Path) -> Callable[[str, bytes], str]:
    """Write a file below the source root and return its path as a job names it."""
    folder = service.sources / tmp_path.name
    folder.mkdir(exist_ok=True)

    def to(name: str, data: bytes) -> str:
        (folder / name).write_bytes(data)
        return f"{folder.name}/{name}"

    return to


# ------------------------------------------------------------------ refused when submitted


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("missing.txt", "missing.txt: no such file or folder below the source roots"),
        ("hollow", "hollow: the folder holds no files"),
        ("hollow/*.xyz", "hollow/*.xyz: matches no file below the source roots"),
        ("../secret.txt", "../secret.txt: '..' is not allowed in a path"),
        ("/etc/passwd", "/etc/passwd: is not below one of the source roots"),
        ("link.txt", "link.txt: link.txt leads out of the source roots"),
        ("link.txt/../fox.txt", "link.txt/../fox.txt: '..' is not allowed in a path"),
        ("ftp://host/file", "ftp://host/file: ftp:// is not available in this deployment"),
    ],
)
async def test_a_source_that_cannot_be_read_is_refused(
    service: RunningService, api: Api, uri: str, message: str
) -> None:
    (service.sources / "hollow").mkdir(exist_ok=True)
    secret = service.sources.parent / "secret.txt"
    secret.write_text("secret")
    if not (service.sources / "link.txt").is_symlink():
        (service.sources / "link.txt").symlink_to(secret)

    refused = await api.try_submit(program="wordcount", source={"files": {"uris": [uri]}})

    assert refused["__typename"] == "SourceError"
    assert refused["code"] == "SOURCE_UNREADABLE"
    assert refused["path"] == ["input", "source", "files", "uris"]
    assert refused["location"] == uri
    assert refused["message"].startswith(message)


async def test_a_program_that_nobody_knows_is_refused_with_the_nearest_name(api: Api) -> None:
    refused = await api.try_submit(program="wordcout", source={"inline": ["a"]})

    assert refused["__typename"] == "ValidationError"
    assert refused["issues"] == [
        {
            "path": ["input", "program"],
            "message": "no program named 'wordcout'; did you mean 'wordcount'?",
        }
    ]


async def test_all_problems_are_told_at_once(api: Api) -> None:
    refused = await api.try_submit(
        program="grep",
        params={"pattern": "(", "colour": 1},
        source={"inline": ["a"]},
        batching={"maxItems": 0},
        reducers=0,
        failurePolicy={"maxAttempts": 0},
        waitUpToMs=-1,
    )

    assert refused["code"] == "VALIDATION_FAILED"
    assert {tuple(issue["path"][1:]) for issue in refused["issues"]} == {
        ("params", "pattern"),
        ("params", "colour"),
        ("batching", "maxItems"),
        ("reducers",),
        ("failurePolicy", "maxAttempts"),
        ("waitUpToMs",),
    }


# ------------------------------------------------------------------ data that cannot be read


@pytest.mark.parametrize(
    ("program", "name", "data", "message"),
    [
        ("wordcount", "latin.txt", b"ok\n\xe4h\n", ": byte 0xe4 at offset 3 is not UTF-8"),
        ("lines", "cut.jsonl", b'{"a": 1}\nno JSON\n', ": the record at byte 9 is not JSON"),
        (
            "sales",
            "ragged.csv",
            b"city,amount\nOslo,1\nRome,2,3\n",
            ": the row at byte 19 has 3 fields, expected 2",
        ),
        ("lines", "twice.csv", b"a,a\n1,2\n", ": there are two columns called 'a'"),
        (
            "wordcount",
            "long.txt",
            b"a\n" + b"x" * 50 * MIB,
            f": the record at byte 2 has at least {16 * MIB + 1} bytes, the limit is {16 * MIB}",
        ),
    ],
)
async def test_data_that_is_not_what_it_should_be_fails_the_job_at_once(
    api: Api,
    write: Callable[[str, bytes], str],
    program: str,
    name: str,
    data: bytes,
    message: str,
) -> None:
    path = write(name, data)

    failed, other = await asyncio.gather(
        api.run(program, path), api.run("wordcount", ["a b a"] * 50, batching={"maxItems": 5})
    )

    assert failed["state"] == "FAILED"
    assert failed["error"]["code"] == "INVALID_RECORD"
    assert failed["error"]["message"].startswith(f"{path}{message}")
    assert not failed["error"]["retryable"]
    assert all(task["attempts"] == 1 for task in await api.tasks(failed["id"]))
    assert pairs_of(other) == {"a": 100, "b": 50}


async def test_an_empty_file_has_no_rows(api: Api, write: Callable[[str, bytes], str]) -> None:
    status = await api.run("wordcount", write("empty.txt", b""))

    assert (status["state"], status["result"], status["resultRows"]) == ("SUCCEEDED", [], 0)
    assert status["items"]["total"] == 0


async def test_a_file_deleted_after_the_submit_is_named(
    service: RunningService, api: Api, write: Callable[[str, bytes], str]
) -> None:
    path = write("gone.txt", b"a\n")
    stuck = [await api.submit("endless", ["x"]) for _ in range(2)]  # nobody plans meanwhile
    job = await api.submit("wordcount", path)
    (service.sources / path).unlink()
    for blocker in stuck:
        await api.ask(CANCEL, id=blocker)

    status = await api.end_of(job)

    assert status["error"]["code"] == "SOURCE_UNREADABLE"
    assert path in status["error"]["message"]


# ------------------------------------------------------------------ programs that misbehave


@pytest.mark.parametrize(
    ("program", "attempts", "code", "parts"),
    [
        ("raises", 2, "USER_CODE", ["ValueError: the tax is negative", "programs.py, line"]),
        ("raises_for_good", 1, "USER_CODE", ["no such customer", "at inline[1]"]),
        ("gives_nan", 1, "INVALID_OUTPUT", ["map of gives_nan", "'bad'", "nan"]),
        ("gives_set", 1, "INVALID_OUTPUT", ["map of gives_set", "'bad'", "set {1}"]),
        ("gives_datetime", 1, "INVALID_OUTPUT", ["map of gives_datetime", "'bad'", "datetime"]),
        ("gives_no_pair", 1, "INVALID_OUTPUT", ["'7' is not a (key, value) pair", "inline[1]"]),
        ("reduces_to_nan", 1, "INVALID_OUTPUT", ["reduce of reduces_to_nan", "'bad'", "NaN"]),
        ("row_with_set", 1, "INVALID_OUTPUT", ["map of row_with_set", "'tags': {'fine'}", "set"]),
        ("exits", 2, "TASK_CRASHED", ["exited with 1"]),
        ("leaves", 2, "TASK_CRASHED", ["exited with 3"]),
        ("kills_itself", 2, "TASK_CRASHED", ["killed by signal 9"]),
        ("forks_and_dies", 2, "TASK_CRASHED", ["exited with 1"]),
    ],
)
async def test_a_program_that_misbehaves_fails_its_own_job_alone(
    api: Api, program: str, attempts: int, code: str, parts: list[str]
) -> None:
    failed, *others = await asyncio.gather(
        api.run(program, ["fine", "bad"], failurePolicy=TWICE),
        *(api.run("slow_count", ["a b"] * 6, batching={"maxItems": 2}) for _ in range(2)),
    )

    assert failed["state"] == "FAILED"
    error = failed["error"]
    assert error["code"] == code
    assert all(part in error["message"] for part in parts), error
    [task] = [t for t in await api.tasks(failed["id"]) if t["state"] == "FAILED"]
    assert (task["attempts"], task["id"]) == (attempts, error["taskId"])
    assert task["error"]["message"] == error["message"]
    for other in others:
        assert pairs_of(other) == {"a": 6, "b": 6}


async def test_what_a_program_forked_dies_with_its_process(
    service: RunningService, api: Api
) -> None:
    await api.run("forks_and_dies", ["bad"], failurePolicy=ONCE)

    tree = psutil.Process(service.process.pid).children(recursive=True)
    assert [p for p in psutil.process_iter() if is_of(service, p) and p not in tree] == []


def is_of(service: RunningService, process: psutil.Process) -> bool:
    """Whether it is a worker or task process of the service, or a fork of one."""
    try:
        return (
            process.environ().get("FANFOLD_REDIS_URL", "").startswith(f"unix://{service.data_dir}/")
        )
    except psutil.Error:
        return False


async def test_an_endless_task_runs_out_of_its_time(api: Api) -> None:
    policy = {**TWICE, "taskTimeoutSeconds": 0.2}

    failed = await api.run("endless", ["x"], failurePolicy=policy)

    assert failed["error"] == {
        "code": "TASK_TIMEOUT",
        "message": "map-0 ran longer than 0.2 s",
        "retryable": True,
        "taskId": "map-0",
    }


async def test_starting_a_new_process_is_not_the_next_task_s_time(api: Api) -> None:
    impatient = {**ONCE, "taskTimeoutSeconds": 0.25}
    await asyncio.gather(*(api.run("endless", ["x"], failurePolicy=impatient) for _ in range(2)))

    status = await api.run(
        "lines", list("abcdef"), failurePolicy=impatient, batching={"maxItems": 1}
    )

    assert status["state"] == "SUCCEEDED", status["error"]


async def test_an_endless_job_runs_out_of_its_time(api: Api) -> None:
    status = await api.run("endless", ["x"], timeoutSeconds=0.2)

    assert (status["state"], status["error"]["code"]) == ("TIMED_OUT", "JOB_TIMEOUT")


async def test_a_program_that_prints_a_megabyte_is_no_problem(api: Api) -> None:
    assert pairs_of(await api.run("prints", ["bad", "fine"])) == {"bad": 1, "fine": 1}
