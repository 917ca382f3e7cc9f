"""Keeps a process of this deployment running, and ends it with this one."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from app.launcher import tied
from app.runtime import module_command
from app.stopping import Stop
from engine.cancellation import cancel_all, finish

RESTART_AFTER_S: Final = 0.5
STEADY_AFTER_S: Final = 5.0
LONGEST_PAUSE_S: Final = 4.0
STOP_WITHIN_S: Final = 10.0

log = logging.getLogger(__name__)


async def keep_running(
    role: Sequence[str], environment: Mapping[str, str], stop: Stop, *, grace_s: float
) -> NoReturn:
    """Start ``fanfold`` in a role, again whenever it has ended; end it when cancelled.

    One that cannot even start is tried again with growing pauses.

    Args:
        role: Words of the command.
        environment: Of the process.
        stop: Tells at the end whether it gets its grace time.
        grace_s: For how long it may go on after SIGTERM.
    """
    failures = 0
    while True:
        since = time.monotonic()
        try:
            process = await _start(role, environment)
        except OSError as exc:
            log.warning("%s did not start: %s", role[0], exc)
        else:
            try:
                log.warning("%s %d ended with %d", role[0], process.pid, await process.wait())
            finally:
                await finish(_end(process, stop, grace_s=grace_s))
        failures = 0 if time.monotonic() - since > STEADY_AFTER_S else failures + 1
        await asyncio.sleep(min(RESTART_AFTER_S * 2 ** max(0, failures - 3), LONGEST_PAUSE_S))


async def _start(role: Sequence[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        # Without this process there may be no Redis either, so there is nothing to wait for.
        *tied(_command(role), at_death=signal.SIGHUP),
        stdin=asyncio.subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


async def _end(process: asyncio.subprocess.Process, stop: Stop, *, grace_s: float) -> None:
    """Ask a process to stop, ask it to hurry when this one is to hurry, then kill it."""
    ended = asyncio.create_task(process.wait())
    hurry = asyncio.create_task(stop.hurry.wait())
    _send(process, signal.SIGHUP if stop.hurry.is_set() else signal.SIGTERM)
    await asyncio.wait([ended, hurry], timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    if stop.hurry.is_set() and not ended.done():
        _send(process, signal.SIGHUP)
    await asyncio.wait([ended], timeout=STOP_WITHIN_S)
    if not ended.done():
        _send(process, signal.SIGKILL)
    await cancel_all([hurry])
    await ended


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _command(role: Sequence[str]) -> list[str]:
    """Return the command of one role, by the installed script where there is one."""
    script = Path(sys.executable).with_name("fanfold")
    if os.access(script, os.X_OK):
        return [str(script), *role]
    return module_command("app.cli", *role)
