# ruff: noqa: S608
"""Two walls around SQL, each alone, then both with the check before them, on a running service."""

from __future__ import annotations

import asyncio
import ctypes
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.errors import ResourceError
from engine.sql.blame import blamed
from engine.sql.sandbox import open_sandbox
from tests.support.client import CANCEL, Api
from tests.support.killing import workers_of
from tests.support.running import (
    ROOT,
    RunningService,
    environment,
    free_port,
    is_running,
    running_service,
)
from tests.support.sql_attacks import ONLY_REFUSED_BY_THE_CHECK, READING, SETTING, WRITING, placed
from tests.support.sql_jobs import refusal_of, rows_of, run_sql, submit_sql

CANARY = "CANARY-4711"
ONCE = {"maxAttempts": 1}


@dataclass(frozen=True)
class Grounds:
    """Folders inside and outside of what is allowed."""

    outside: Path
    inside: Path
    beside: Path
    scratch: Path

    def place(self, text: str) -> str:
        return placed(text, outside=self.outside, inside=self.inside, beside=self.beside)

    def listing(self) -> list[str]:
        """Return everything in the folders that nothing may be written to."""
        folders = (self.outside, self.beside)
        return sorted(str(path) for folder in folders for path in folder.rglob("*"))


def lay_out(base: Path, inside: Path, scratch: Path) -> Grounds:
    grounds = Grounds(base / "outside", inside, inside.with_name(f"{inside.name}base"), scratch)
    for folder in (grounds.outside, grounds.inside, grounds.beside, grounds.scratch):
        folder.mkdir(exist_ok=True)
    for folder in (grounds.outside, grounds.beside):
        (folder / "secret.csv").write_text(f"s\n{CANARY}\n")
    (inside / "link.csv").symlink_to(grounds.outside / "secret.csv")
    (inside / "folder").symlink_to(grounds.outside)
    (inside / "mine.csv").write_text("a\n1\n")
    return grounds


# ------------------------------------------------------------------ DuckDB's own wall


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Grounds:
    base = tmp_path_factory.mktemp("grounds")
    return lay_out(base, base / "data", base / "scratch")


@pytest.fixture(scope="module")
def sandbox(grounds: Grounds) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_sandbox(folders=[grounds.inside], scratch=grounds.scratch) as connection:
        connection.execute("CREATE TEMP VIEW input AS SELECT 'x' AS line")
        yield connection


@pytest.mark.parametrize("text", READING + WRITING + SETTING)
def test_the_sandbox_alone_refuses(
    sandbox: duckdb.DuckDBPyConnection, grounds: Grounds, text: str
) -> None:
    hidden_table = python_scan = [CANARY]
    before = grounds.listing()

    with pytest.raises(duckdb.Error) as refused:
        sandbox.execute(grounds.place(text)).fetchall()

    assert CANARY not in str(refused.value)
    assert grounds.listing() == before
    assert hidden_table is python_scan


def test_the_sandbox_reads_what_it_was_given_and_writes_scratch(
    sandbox: duckdb.DuckDBPyConnection, grounds: Grounds
) -> None:
    assert sandbox.execute(f"FROM '{grounds.inside}/mine.csv'").fetchall() == [(1,)]
    sandbox.execute(f"COPY (SELECT 7 AS a) TO '{grounds.scratch}/mine.parquet'")
    assert sandbox.execute(f"FROM '{grounds.scratch}/mine.parquet'").fetchall() == [(7,)]


def test_spilled_data_is_bounded_by_what_is_free_on_the_disk(tmp_path: Path) -> None:
    with open_sandbox(folders=[], scratch=tmp_path, temporary_bytes=1 << 60) as connection:
        (shown,) = connection.execute(
            "SELECT parse_formatted_bytes(current_setting('max_temp_directory_size'))"
        ).fetchone() or (0,)

    assert 0 < shown <= shutil.disk_usage(tmp_path).total * 0.8


def test_a_query_that_spills_too_much_fails_as_one_that_needs_too_much(tmp_path: Path) -> None:
    with open_sandbox(folders=[], scratch=tmp_path, temporary_bytes=1 << 20) as connection:
        text = "SELECT repeat(md5(i::VARCHAR), 20) AS r FROM range(1500000) AS t(i) ORDER BY r"

        with pytest.raises(ResourceError, match="map needs more space on disk than a task may"):
            with blamed("map", {}):
                connection.sql(text).to_arrow_reader().read_all()


# ------------------------------------------------------------------ the kernel's wall

CONFINED = """
import json, os, socket, subprocess, sys
from pathlib import Path
import duckdb
from app.confinement import confine
from app.settings import load_settings

data_dir, sources, scratch, texts, port = json.loads(sys.argv[1])
listening = ("127.0.0.1", port)
confine(
    load_settings({"FANFOLD_DATA_DIR": data_dir, "FANFOLD_SOURCE_ROOTS": sources}), Path(scratch)
)
connection = duckdb.connect(config={"threads": 1, "temp_directory": scratch})

def outcome(act):
    try:
        return f"did: {act()}"
    except (duckdb.Error, OSError) as exc:
        return f"refused: {exc}"

found = {text: outcome(lambda: connection.execute(text).fetchall()) for text in texts}
found["open"] = outcome(lambda: open("/etc/passwd").read())
found["connect"] = outcome(lambda: socket.create_connection(listening, timeout=5))
found["bind"] = outcome(lambda: socket.create_server(("127.0.0.1", 0)))
found["run"] = outcome(lambda: subprocess.run(["/bin/sh", "-c", "cat /etc/passwd"]))
found["list"] = outcome(lambda: os.listdir("/etc"))
found["kill"] = outcome(lambda: os.kill(os.getppid(), 0))
print(json.dumps(found))
"""
_CREATE_RULESET = 444


def landlock_abi() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    abi: int = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    return abi


needs_landlock = pytest.mark.skipif(landlock_abi() < 1, reason="the kernel has no Landlock")


@pytest.fixture(scope="module")
def confined(grounds: Grounds) -> dict[str, str]:
    """What came of each text in a confined process whose DuckDB has no limits of its own."""
    allowed = [
        f"FROM '{grounds.inside}/mine.csv'",
        f"COPY (SELECT 7 AS a) TO '{grounds.scratch}/kernel.csv'",
    ]
    read = [grounds.place(text) for text in READING if "secret.csv'" in text and "//" not in text]
    written = [
        grounds.place(text)
        for text in WRITING
        if text.startswith(("COPY (", "EXPORT", "ATTACH '{"))
    ]
    inside = [f"COPY (SELECT 1) TO '{grounds.inside}/new.csv'", f"ATTACH '{grounds.inside}/new.db'"]
    passwd = ["SELECT * FROM read_text('/etc/passwd')", "FROM glob('/etc/*')"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        texts = allowed + read + written + inside + passwd
        given = [grounds.scratch / "d", grounds.inside, grounds.scratch]
        job = json.dumps([*map(str, given), texts, port])
        ran = subprocess.run(
            [sys.executable, "-c", CONFINED, job],
            env={k: v for k, v in environment({}).items() if not k.startswith("AWS_")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout)
    return found


@needs_landlock
def test_the_kernel_alone_refuses_files_outside(confined: dict[str, str], grounds: Grounds) -> None:
    assert confined.pop(f"FROM '{grounds.inside}/mine.csv'") == "did: [(1,)]"
    assert confined.pop(f"COPY (SELECT 7 AS a) TO '{grounds.scratch}/kernel.csv'") == "did: [(1,)]"
    network = {"connect", "bind", "kill"}
    for text, outcome in confined.items():
        if text in network:
            continue
        empty = "glob" in text and outcome == "did: []"
        assert outcome.startswith("refused") or empty, (text, outcome)
        assert CANARY not in outcome
    assert not [path for path in grounds.listing() if not path.endswith("secret.csv")]
    assert not list(grounds.inside.glob("new.*"))


@pytest.mark.skipif(landlock_abi() < 4, reason="the kernel's Landlock knows no network")
def test_the_kernel_alone_refuses_connections(confined: dict[str, str]) -> None:
    assert confined["connect"].startswith("refused: [Errno 13]")
    assert confined["bind"].startswith("refused: [Errno 13]")


@pytest.mark.skipif(landlock_abi() < 6, reason="the kernel's Landlock knows no signals")
def test_the_kernel_alone_refuses_signals_to_others(confined: dict[str, str]) -> None:
    assert confined["kill"].startswith("refused: [Errno 1]")


CERTIFIED = """
import json, sys
from pathlib import Path
from app.confinement import confine
from app.settings import load_settings

settings, *paths = json.loads(sys.argv[1])
confine(load_settings(settings), Path(settings["FANFOLD_DATA_DIR"]))

def can_be_read(path):
    try:
        return bool(Path(path).read_bytes())
    except OSError:
        return False

print(json.dumps([can_be_read(path) for path in paths]))
"""


@needs_landlock
@pytest.mark.parametrize("uses_network", [True, False])
def test_authorities_of_the_deployment_can_be_read_where_there_is_a_network(
    tmp_path: Path, uses_network: bool
) -> None:
    paths = [tmp_path / name for name in ("file.pem", "one/a.pem", "two/b.pem", "secret.pem")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("certificate")
    (tmp_path / "data").mkdir()
    settings = {"FANFOLD_DATA_DIR": str(tmp_path / "data")}
    if uses_network:
        settings["FANFOLD_S3_ENDPOINT"] = "https://store.test"
    own = {
        "SSL_CERT_FILE": str(paths[0]),
        "SSL_CERT_DIR": f"{tmp_path / 'one'}:{tmp_path / 'two'}",
    }

    ran = subprocess.run(
        [sys.executable, "-c", CERTIFIED, json.dumps([settings, *map(str, paths)])],
        env={k: v for k, v in environment({}).items() if not k.startswith("AWS_")} | own,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert json.loads(ran.stdout) == [uses_network, uses_network, uses_network, False]


# ------------------------------------------------------------------ end to end


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("sandbox")
    sources = folder / "data"
    sources.mkdir()
    with running_service(folder / "state", sources, port=free_port()) as running:
        yield running


@pytest.fixture(scope="module")
def around(service: RunningService) -> Grounds:
    """The folders around the service's source root."""
    return lay_out(service.sources.parent, service.sources, service.sources.parent / "scratch")


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    """A client; afterwards the workers must still be there, and run SQL."""
    workers = workers_of(service)
    async with Api(service.url) as client:
        yield client
        sql = "SELECT line, count(*) AS n FROM input GROUP BY line"
        assert await rows_of(client, sql, ["a", "a"]) == [{"line": "a", "n": 2}]
    assert all(map(is_running, workers))


@pytest.mark.anyio
async def test_a_submitted_query_reads_and_writes_nothing_outside(
    api: Api, around: Grounds
) -> None:
    before = around.listing()
    texts = READING + WRITING + SETTING + ONLY_REFUSED_BY_THE_CHECK

    for text in texts:
        answer = await api.try_submit(
            sql=placed(text, outside=around.outside, inside=around.inside, beside=around.beside)
            if "{" in text
            else text,
            source={"inline": ["x"]},
        )

        assert answer["__typename"] == "ValidationError", (text, answer)
        assert all(issue["path"][:2] == ["input", "sql"] for issue in answer["issues"]), answer
        assert CANARY not in json.dumps(answer)
    assert around.listing() == before


# ------------------------------------------------------------------ time

RUNAWAY = "SELECT count(*) AS n FROM input, range(1000000000000) AS r(i) WHERE i % 7 = length(line)"


@pytest.mark.anyio
async def test_a_query_that_runs_too_long_is_stopped(api: Api) -> None:
    since = time.monotonic()

    failed = await run_sql(
        api, RUNAWAY, ["a"], failurePolicy={"taskTimeoutSeconds": 1, "maxAttempts": 1}
    )

    assert failed["state"] == "FAILED"
    assert failed["error"]["code"] == "TASK_TIMEOUT"
    assert time.monotonic() - since < 8


@pytest.mark.anyio
async def test_a_query_that_runs_can_be_cancelled(api: Api) -> None:
    job = await submit_sql(api, RUNAWAY, ["a"])
    async with asyncio.timeout(10):
        while (await api.job(job))["status"]["map"]["running"] == 0:
            pass
    since = time.monotonic()

    await api.ask(CANCEL, id=job)
    ended = await api.end_of(job)

    assert ended["state"] == "CANCELLED"
    assert time.monotonic() - since < 8


@pytest.mark.anyio
async def test_a_query_that_is_hard_to_plan_holds_up_nobody_but_checks(api: Api) -> None:
    steps = ["c0 AS (SELECT * FROM input)"]
    steps += [f"c{i} AS (SELECT * FROM c{i - 1} AS a, c{i - 1} AS b)" for i in range(1, 21)]
    bomb = f"WITH {', '.join(steps)} SELECT count(*) FROM c20"
    refusing = asyncio.create_task(refusal_of(api, bomb, ["a"]))
    longest_s = 0.0
    async with asyncio.timeout(20):
        while not refusing.done():
            since = time.monotonic()
            answer = await api.ask("{ service { version } }")
            longest_s = max(longest_s, time.monotonic() - since)
            assert answer["service"]["version"]
            await asyncio.wait([refusing], timeout=0.05)

    assert [issue["path"] for issue in await refusing] == [["input", "sql"]]
    assert longest_s < 2
    assert await rows_of(api, "SELECT 1 AS a FROM input", ["x"]) == [{"a": 1}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "[" * 900 + "1" + "]" * 900 + " FROM input",
        "SELECT " + "(" * 900 + "1" + ")" * 900 + " FROM input",
        "SELECT " + "NOT " * 5_000 + "true FROM input",
        "SELECT " + "-" * 1 + " -" * 5_000 + "1 FROM input",
        "SELECT 1" + " + 1" * 15_000 + " FROM input",
        "SELECT " + "CASE WHEN true THEN " * 900 + "1" + " END" * 900 + " FROM input",
        "SELECT 1 FROM input" + " UNION ALL SELECT 1 FROM input" * 600,
        "SELECT * FROM " + "(SELECT * FROM " * 200 + "input" + ")" * 200,
    ],
    ids=["lists", "brackets", "nots", "minuses", "sums", "cases", "unions", "subqueries"],
)
async def test_a_text_that_is_too_deep_or_too_long_is_refused_soon(api: Api, text: str) -> None:
    since = time.monotonic()

    answer = await api.try_submit(sql=text, source={"inline": ["a"]})

    assert answer["__typename"] in ("ValidationError", "SubmitJobSuccess"), answer
    assert time.monotonic() - since < 12


# ------------------------------------------------------------------ memory


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "SELECT sum(x) AS s FROM (SELECT unnest(range(n * 2000000000)) AS x FROM input)",
        "SELECT length(repeat('x', n * 1000000000) || repeat('y', n * 1000000001)) AS l FROM input",
        "SELECT list_sum(list_sort(range(n * 500000000), 'DESC')) AS s FROM input",
        "SELECT list(repeat('x', 10000) || i) AS l FROM input, range(n * 1000000) AS r(i)",
        "SELECT string_agg(repeat('x', 1000000), '') AS l FROM input, range(n * 100000) AS r(i)",
    ],
    ids=["unnest", "repeat", "list_sort", "list", "string_agg"],
)
async def test_a_query_that_needs_too_much_memory_fails_alone(api: Api, text: str) -> None:
    status = await run_sql(api, text, [{"n": 1}], failurePolicy={**ONCE, "taskTimeoutSeconds": 50})

    assert status["state"] == "FAILED"
    assert status["error"]["code"] in ("RESOURCE_EXHAUSTED", "TASK_CRASHED"), status["error"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "SELECT list_sort(range(500000000))[1] AS l FROM input",
        "SELECT length(repeat(repeat('x', 100000), 100000)) AS l FROM input",
        pytest.param(
            "SELECT length(repeat('x', 1000000000)) AS l FROM input", marks=pytest.mark.long
        ),
    ],
    ids=["list_sort", "repeated repeat", "repeat"],
)
async def test_constants_that_need_too_much_memory_break_nothing(api: Api, text: str) -> None:
    answer: dict[str, Any] = await api.try_submit(
        sql=text, source={"inline": ["a"]}, failurePolicy={**ONCE, "taskTimeoutSeconds": 10}
    )

    if answer["__typename"] == "SubmitJobSuccess":
        status = await api.end_of(answer["job"]["id"])
        assert status["state"] in ("SUCCEEDED", "FAILED")
    else:
        assert answer["__typename"] == "ValidationError", answer
