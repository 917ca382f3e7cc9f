"""Running what depends on this deployment's set-up."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from app.commands.ending import FAULT, TERMINATED, WRONGLY_CONFIGURED, tell

if TYPE_CHECKING:
    from app.settings import Settings

T = TypeVar("T")


def serve(run: Callable[[Settings], Coroutine[Any, Any, None]], **overrides: str | None) -> int:
    """Run a role of the service until it is told to stop; return the exit status.

    Args:
        run: The role.
        overrides: Settings that take the place of those of the environment.
    """
    import uvloop

    from app.runtime import log_to_stderr
    from app.settings import load_settings

    def start() -> int:
        settings = load_settings(os.environ, **overrides)
        log_to_stderr(settings)
        uvloop.run(run(settings))
        return 0

    return configured(lambda: logged(start))


def logged(run: Callable[[], int | None]) -> int | None:
    """Run a role; a fault that ends it is logged with its traceback, which operators need."""
    import asyncio

    from engine.errors import ConfigError

    try:
        return run()
    except ConfigError:
        raise
    except asyncio.CancelledError:
        return TERMINATED
    except Exception:
        logging.getLogger(__name__).critical("a fault has ended this process", exc_info=True)
        return FAULT


def configured(start: Callable[[], int | None]) -> int:
    """Run what reads the settings; tell what is wrong with them."""
    from engine.errors import ConfigError

    try:
        return start() or 0
    except ConfigError as exc:
        tell(exc.message.splitlines())
        return WRONGLY_CONFIGURED


def in_uvloop(work: Coroutine[Any, Any, T]) -> T | int:
    """Run *work* in a loop of its own; return what it returns, or TERMINATED when cancelled."""
    import asyncio

    import uvloop

    try:
        return uvloop.run(work)
    except asyncio.CancelledError:
        return TERMINATED
