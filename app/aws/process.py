"""A process as Lambda keeps it: made for the first event, and there for those that follow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Generic, TypeVar

from app.aws.settings import Deployment, load_deployment
from app.runtime import log_to_stderr

T = TypeVar("T")
R = TypeVar("R")


class Process(Generic[T]):
    """One event loop, and what was made in it; between events Lambda stops both.

    Args:
        make: Makes what the process works with. It is left when the interpreter ends, if ever:
            Lambda tells nobody.

    Attributes:
        made: What was made.
    """

    def __init__(self, make: Callable[[Deployment], AbstractAsyncContextManager[T]]) -> None:
        deployment = load_deployment(os.environ)
        log_to_stderr(deployment.common)
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.made = self._runner.run(self._stack.enter_async_context(make(deployment)))

    def run(self, step: Callable[[T], Awaitable[R]]) -> R:
        """Return what *step* comes to, with what was made."""

        async def stepping() -> R:
            return await step(self.made)

        return self._runner.run(stepping())
