"""Looks at sources run in threads of their own, with a deadline, and tenants take turns at them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from engine.errors import QuotaExceededError, SourceError
from engine.source.deadline import Deadline, check_deadline
from engine.source.sources import Sources
from resolvers.source_threads import SourceThreads

WITHIN_S = 10.0


class Look:
    """A look that goes on until it is told to end, or until its deadline."""

    def __init__(self) -> None:
        self.is_under_way = threading.Event()
        self.may_end = threading.Event()
        self.has_ended = threading.Event()

    def __call__(self) -> str:
        self.is_under_way.set()
        try:
            while not self.may_end.wait(0.001):
                check_deadline()
        finally:
            self.has_ended.set()
        return "seen"


async def happens(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, WITHIN_S)


@pytest.mark.anyio
async def test_one_tenants_looks_leave_threads_to_others() -> None:
    threads = SourceThreads(threads=2, of_one=1)
    slow, waiting = Look(), Look()
    looks = [asyncio.create_task(threads.run("alpha", look)) for look in (slow, waiting)]
    await happens(slow.is_under_way)

    assert await threads.run("beta", lambda: "at once") == "at once"
    assert not waiting.is_under_way.is_set()

    slow.may_end.set()
    waiting.may_end.set()
    assert await asyncio.gather(*looks) == ["seen", "seen"]


@pytest.mark.anyio
async def test_more_looks_of_a_tenant_than_may_wait_are_refused() -> None:
    threads = SourceThreads(threads=2, of_one=1, waiting=1)
    slow = Look()
    looks = [asyncio.create_task(threads.run("alpha", slow)) for _ in range(2)]
    await happens(slow.is_under_way)

    with pytest.raises(QuotaExceededError, match="1 looks at sources of the tenant wait already"):
        await threads.run("alpha", slow)

    slow.may_end.set()
    await asyncio.gather(*looks)


@pytest.mark.anyio
async def test_a_look_that_takes_too_long_is_refused_with_the_limit() -> None:
    threads = SourceThreads(within_s=0.05)

    with pytest.raises(SourceError, match=r"took longer than 0\.05 s"):
        await threads.run("alpha", Look())


@pytest.mark.anyio
async def test_a_caller_who_leaves_ends_the_look_and_frees_its_thread() -> None:
    threads = SourceThreads(threads=1)
    slow = Look()
    looking = asyncio.create_task(threads.run("alpha", slow))
    await happens(slow.is_under_way)

    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking

    await happens(slow.has_ended)
    assert await threads.run("beta", lambda: "next") == "next"


@pytest.mark.anyio
async def test_closing_ends_what_runs() -> None:
    threads = SourceThreads()
    slow = Look()
    looking = asyncio.create_task(threads.run("alpha", slow))
    await happens(slow.is_under_way)

    threads.close()

    with pytest.raises(SourceError):
        await looking


def test_a_listing_that_finds_nothing_ends_at_its_deadline(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").touch()
    sources = Sources.local(tmp_path)
    over = Deadline(60)
    over.expire()

    with pytest.raises(SourceError, match="took longer than 60 s"):
        over.run(lambda: sources.probe(["**/*.csv"]))
    with pytest.raises(SourceError, match="took longer than 60 s"):
        over.run(lambda: list(sources.list_files(["**/*.csv"])))
    with pytest.raises(SourceError, match="matches no file"):
        sources.probe(["**/*.csv"])
