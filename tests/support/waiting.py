"""Waiting for what another process or task does, with a deadline and without sleeping blindly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

_PAUSE_S = 0.01


def eventually(check: Callable[[], T], *, within_s: float = 20.0) -> T:
    """Return the first true value of *check*, which is asked again and again.

    Raises:
        AssertionError: Every value was false until the deadline.
    """
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not (value := check()):
        if time.monotonic() > deadline:
            raise _too_late(check, within_s, value)
        pause.wait(_PAUSE_S)
    return value


async def eventually_async(check: Callable[[], T], *, within_s: float = 20.0) -> T:
    """Like ``eventually``, while the event loop goes on.

    Raises:
        AssertionError: Every value was false until the deadline.
    """
    deadline = time.monotonic() + within_s
    while not (value := check()):
        if time.monotonic() > deadline:
            raise _too_late(check, within_s, value)
        await anyio.sleep(_PAUSE_S)
    return value


async def turns(count: int) -> None:
    """Let everything else of the event loop have *count* turns."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


def _too_late(check: Callable[[], object], within_s: float, value: object) -> AssertionError:
    name = getattr(check, "__qualname__", repr(check))
    return AssertionError(f"{name} was still {value!r} after {within_s:g} s")
