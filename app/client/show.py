"""Showing one job until it ends: bars, lines or JSON, whichever suits the one who looks."""

from __future__ import annotations

import sys
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console

from app.client.address import Address
from app.client.bars import Bars, Drawing, Lines
from app.client.cells import json_line
from app.client.errors import has_ended
from app.client.follow import follow


class Unseen:
    """Shows nothing of the job; a line to the side when the connection is lost."""

    def __init__(self, err: TextIO) -> None:
        self._err = err

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def show(self, status: dict[str, Any]) -> None:
        """Show nothing."""

    def connection(self, problem: str | None) -> None:
        """Write a line to the side."""
        self._err.write(f"{problem}; trying again\n" if problem else "connected again\n")


class Json(Unseen):
    """A line of JSON for each state, as received, and nothing else."""

    def __init__(self, out: TextIO, err: TextIO, *, only_end: bool = False) -> None:
        super().__init__(err)
        self._out = out
        self._only_end = only_end

    def show(self, status: dict[str, Any]) -> None:
        """Write the state, at once."""
        if not self._only_end or has_ended(status["state"]):
            self._out.write(f"{json_line(status)}\n")
            self._out.flush()


def drawing_of(job: dict[str, Any], *, as_json: bool = False, only_end: bool = False) -> Drawing:
    """Return what suits standard output: bars on a terminal, else lines; JSON if asked for.

    Args:
        job: The job with ``id``, ``name``, ``program`` and ``createdAt``.
        as_json: Print states as JSON.
        only_end: Leave out everything but the terminal state.
    """
    if as_json:
        return Json(sys.stdout, sys.stderr, only_end=only_end)
    out = Console(highlight=False)
    if out.is_terminal and not out.is_dumb_terminal and not only_end:
        return Bars(job, out)
    return Lines(job, out, Console(stderr=True, highlight=False), only_end=only_end)


async def show_until_end(at: str | Address, job_id: str, drawing: Drawing) -> dict[str, Any]:
    """Show a job's states as they come and return the terminal one.

    Raises:
        ServiceError: There is no such job.
    """
    status: dict[str, Any] = {}
    with drawing:
        async with aclosing(follow(at, job_id, on_connection=drawing.connection)) as states:
            async for status in states:
                drawing.show(status)
    return status
