"""A client in a process of its own, and what it tells: its job, each status, the rows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.support.node import without_proxies

ROOT: Final = Path(__file__).parents[2]
CLIENTS: Final = (
    "gql",
    "graphql_ws",
    "apollo_ws",
    "urql_ws",
    "graphql_sse",
    "apollo_sse",
    "urql_sse",
    "curl",
)
TELLS_WITHIN_S: Final = 40.0
_LONGEST_LINE_BYTES: Final = 16 * 1024 * 1024

Command = Callable[[str, dict[str, Any]], list[str]]
"""How a client is run, with the address of a service and a job."""


class Told:
    """What a client has told so far.

    Attributes:
        job: The id, once it is known.
        states: Every status, in order.
        rows: The result, once it was read.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.job: str | None = None
        self.states: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] | None = None

    async def until(self, wanted: Callable[[Told], Any]) -> None:
        """Listen until *wanted* of this is true.

        Raises:
            AssertionError: The client ended first, or it took too long.
        """
        try:
            async with asyncio.timeout(TELLS_WITHIN_S):
                while not wanted(self):
                    assert await self._hear(), f"it ended: {self}"
        except TimeoutError:
            raise AssertionError(f"nothing more came: {self}") from None

    async def end(self) -> None:
        """Listen until the client ends by itself, which it must without a fault.

        Raises:
            AssertionError: It failed, or it took too long.
        """
        async with asyncio.timeout(TELLS_WITHIN_S):
            while await self._hear():
                pass
            assert await self._process.wait() == 0, self

    async def failure(self) -> None:
        """Listen until the client ends by itself, with a fault.

        Raises:
            AssertionError: It ended as if all was well, or it goes on.
        """
        try:
            async with asyncio.timeout(TELLS_WITHIN_S):
                while await self._hear():
                    pass
                assert await self._process.wait() != 0, self
        except TimeoutError:
            raise AssertionError(f"it goes on: {self}") from None

    def __repr__(self) -> str:
        return f"job {self.job}, last of {len(self.states)} states {self.states[-1:]}"

    async def _hear(self) -> bool:
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode()
        if line:
            self._note(line)
        return bool(line)

    def _note(self, line: str) -> None:
        """Note one line: an event, or what curl prints of ids, server-sent events and answers."""
        if line.startswith("j-"):
            self.job = line.strip()
        elif line.startswith("data: {"):
            self.states.append(json.loads(line.removeprefix("data: "))["data"]["jobStatus"])
        elif line.startswith('{"data"'):
            edges = json.loads(line)["data"]["job"]["result"]["rows"]["edges"]
            self.rows = [edge["node"] for edge in edges]
        elif line.startswith("{"):
            event = json.loads(line)
            self.job = event.get("job", self.job)
            self.states += [event["status"]] if "status" in event else []
            self.rows = event.get("rows", self.rows)


@asynccontextmanager
async def telling(command: Sequence[str], *, token: str | None = None) -> AsyncIterator[Told]:
    """Run a client until the block is left; *token* says who it is."""
    environ = without_proxies() | ({"FANFOLD_TOKEN": token} if token else {})
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=PIPE,
        cwd=ROOT,
        env=environ,
        limit=_LONGEST_LINE_BYTES,
        start_new_session=True,
    )
    try:
        yield Told(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a script with all that it runs
        await process.communicate()
