"""Queries are checked in a process; what it refuses, and what breaks it, comes back as an error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.cancellation import cancel_all
from engine.errors import (
    FanfoldError,
    InputError,
    Issue,
    QuotaExceededError,
    SourceError,
    UnavailableError,
)
from engine.sql.checker import SqlCheck
from workers.checker import ProcessChecker, refusal_of, refused
from workers.task_process import TaskProcess

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
CHILD = """
import os, socket, sys, time
from workers.frames import READY, frame, receive

connection = socket.socket(fileno=int(sys.argv[2]))
connection.sendall(frame({"id": READY}))
while True:
    try:
        message = receive(connection)
    except EOFError:
        break
    sql = message["check"]["spec"]["sql"]
    if sql == "hang":
        time.sleep(600)
    if sql == "die":
        os._exit(3)
    if sql == "refuse":
        issues = [[["input", "sql"], "no column x"]]
        connection.sendall(frame({"id": message["id"], "refused": {"issues": issues}}))
        continue
    checked = {"job": {"sql": sql, "source": message["check"]["resolved_source"]},
               "is_map_only": True, "has_one_reducer": False, "supports_partial": True}
    connection.sendall(frame({"id": message["id"], "checked": checked}))
"""


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[TaskProcess]:
    process = TaskProcess(
        [sys.executable, "-c", CHILD],
        environment={"PYTHONPATH": str(ROOT)},
        scratch=tmp_path / "scratch",
        one_at_a_time=True,
    )
    async with asyncio.timeout(20):
        yield process
    await process.stop()


@pytest.fixture
def checker(process: TaskProcess) -> ProcessChecker:
    return ProcessChecker(process, within_s=0.2)


def query(sql: str) -> SqlCheck:
    return SqlCheck({"sql": sql}, resolved_source="jobs/j-1/result/manifest.json")


async def test_what_was_found_about_a_query_comes_back(checker: ProcessChecker) -> None:
    checked = await checker.check(query("SELECT 1"), tenant="acme")

    assert checked.job == {"sql": "SELECT 1", "source": "jobs/j-1/result/manifest.json"}
    assert (checked.is_map_only, checked.has_one_reducer, checked.supports_partial) == (
        True,
        False,
        True,
    )


async def test_a_refusal_comes_back_with_its_place(checker: ProcessChecker) -> None:
    with pytest.raises(InputError) as caught:
        await checker.check(query("refuse"), tenant="acme")

    assert caught.value.issues == (Issue(("input", "sql"), "no column x"),)


async def test_a_query_that_takes_too_long_is_refused_and_the_next_one_is_checked(
    checker: ProcessChecker,
) -> None:
    with pytest.raises(InputError, match=r"input\.sql: could not be checked within 0\.2 s"):
        await checker.check(query("hang"), tenant="acme")

    assert (await checker.check(query("SELECT 1"), tenant="acme")).job["sql"] == "SELECT 1"


async def test_a_query_that_breaks_the_process_is_told_of_and_the_next_one_is_checked(
    checker: ProcessChecker,
) -> None:
    with pytest.raises(UnavailableError, match=r"broke the process that checks it.*exited with 3"):
        await checker.check(query("die"), tenant="acme")

    assert (await checker.check(query("SELECT 1"), tenant="acme")).job["sql"] == "SELECT 1"


async def test_those_who_wait_behind_a_query_that_hangs_are_not_refused_with_it(
    checker: ProcessChecker,
) -> None:
    hanging = asyncio.create_task(checker.check(query("hang"), tenant="acme"))
    others = [
        asyncio.create_task(checker.check(query(f"SELECT {i}"), tenant="acme")) for i in range(3)
    ]

    with pytest.raises(InputError):
        await hanging

    found = [(await other).job["sql"] for other in others]
    assert found == ["SELECT 0", "SELECT 1", "SELECT 2"]


async def test_a_tenants_check_waits_for_one_hard_check_of_another_tenant_that_has_many(
    process: TaskProcess,
) -> None:
    checker = ProcessChecker(process, within_s=0.2, waiting=3)
    hard = [asyncio.create_task(checker.check(query("hang"), tenant="alpha")) for _ in range(4)]
    await asyncio.sleep(0)

    with pytest.raises(QuotaExceededError, match="3 checks of queries of the tenant wait already"):
        await checker.check(query("SELECT 1"), tenant="alpha")
    checked = await checker.check(query("SELECT 1"), tenant="beta")

    assert checked.job["sql"] == "SELECT 1"
    assert [check.done() for check in hard] == [True, False, False, False]
    with pytest.raises(InputError, match="could not be checked"):
        await hard[0]
    await cancel_all(hard)


async def test_a_caller_who_leaves_ends_the_check_and_frees_the_process(
    process: TaskProcess,
) -> None:
    checker = ProcessChecker(process, within_s=600)
    await process.start()
    hard = [asyncio.create_task(checker.check(query("hang"), tenant="acme")) for _ in range(3)]
    await asyncio.wait(hard, timeout=0.1)

    await cancel_all(hard)

    assert (await checker.check(query("SELECT 1"), tenant="acme")).job["sql"] == "SELECT 1"


async def test_a_check_that_a_shutdown_cuts_short_is_unavailable(process: TaskProcess) -> None:
    await process.start()
    checker = ProcessChecker(process, within_s=60)
    checking = asyncio.create_task(checker.check(query("hang"), tenant="acme"))
    await asyncio.wait([checking], timeout=0.1)

    await process.stop()

    with pytest.raises(UnavailableError, match="shutting down"):
        await checking


@pytest.mark.parametrize(
    "error",
    [
        InputError(Issue(("input", "sql"), "wrong"), Issue(("input", "params"), "missing")),
        SourceError("unreadable", location="a.csv, byte 7"),
        UnavailableError("not now"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_read_as_it_was_written(error: FanfoldError) -> None:
    found = refusal_of(refused(error))

    assert (type(found), found.message) == (type(error), error.message)
    assert vars(found) == vars(error)
