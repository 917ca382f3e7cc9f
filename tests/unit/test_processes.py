"""Scratch folders: each task process has one of its own, and those of the dead are removed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.processes import program_process, remove_leftover_scratch, scratch_of, sql_process
from app.settings import Settings, load_settings
from tests.support.waiting import eventually_async


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({}, data_dir=tmp_path / "data")


@pytest.fixture
def living() -> Iterator[int]:
    """The id of another process that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def dead() -> int:
    """Return the id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def used(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "attempt-1").mkdir()
    (folder / "attempt-1" / "spilled").write_bytes(b"x" * 100)
    return folder


def test_scratch_of_processes_that_are_no_more_is_removed(settings: Settings) -> None:
    folder = used(scratch_of(settings, "sql", pid=dead()))

    remove_leftover_scratch(settings)

    assert not folder.exists()


def test_scratch_of_processes_that_run_stays(settings: Settings, living: int) -> None:
    own = used(scratch_of(settings, "process", pid=os.getpid()))
    other = used(scratch_of(settings, "sql", pid=living))

    remove_leftover_scratch(settings)

    assert (own / "attempt-1" / "spilled").exists()
    assert (other / "attempt-1" / "spilled").exists()


def test_scratch_of_other_machines_and_what_is_none_of_ours_stays(settings: Settings) -> None:
    """Workers of several machines, or containers, may share a data folder."""
    name = scratch_of(settings, "sql", pid=dead()).name
    elsewhere = name.replace(socket.gethostname(), "another-machine")
    folders = [used(settings.data_dir / "scratch" / n) for n in (elsewhere, "uploads", "a-b-c")]

    remove_leftover_scratch(settings)

    assert all(folder.exists() for folder in folders)


def test_a_deployment_that_never_ran_has_nothing_to_remove(settings: Settings) -> None:
    remove_leftover_scratch(settings)

    assert not (settings.data_dir / "scratch").exists()


@pytest.mark.anyio
async def test_each_lane_has_a_folder_of_its_own_while_it_runs(settings: Settings) -> None:
    processes = [
        program_process(settings, "process"),
        program_process(settings, "loop"),
        sql_process(settings),
    ]
    try:
        for process in processes:
            await process.start()
        folders = sorted((settings.data_dir / "scratch").iterdir())
        assert folders == sorted(
            scratch_of(settings, lane, pid=os.getpid()) for lane in ("process", "loop", "sql")
        )
    finally:
        for process in processes:
            await process.stop()

    assert list((settings.data_dir / "scratch").iterdir()) == []


@pytest.mark.anyio
async def test_sql_runs_in_a_process_that_knows_nothing_of_redis(tmp_path: Path) -> None:
    settings = load_settings({"FANFOLD_REDIS_URL": "redis://:secret@h"}, data_dir=tmp_path)
    process = sql_process(settings)
    try:
        await process.start()
        # Its launcher has yet to become it.
        [child] = await eventually_async(
            lambda: [p for p in psutil.Process().children() if "sql" in p.cmdline()]
        )
        environment = child.environ()
    finally:
        await process.stop()

    assert environment["FANFOLD_DATA_DIR"] == str(settings.data_dir)
    assert "secret" not in str(environment)
