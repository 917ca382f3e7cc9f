"""Showing a job until it ends, and what may be done with it then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from app.commands.defaults import DEFAULT_URL
from app.commands.ending import INTERRUPTED, tell

if TYPE_CHECKING:
    from app.client.address import Address


def follow_to_end(
    address: Address, job: dict[str, Any], *, as_json: bool, only_end: bool, done: str | None = None
) -> int:
    """Show a job until it ends and return the exit status; Ctrl-C leaves the job running.

    Args:
        address: Where it is.
        job: The job.
        as_json: Print states as JSON.
        only_end: Leave out everything but the terminal state.
        done: What was done to it before, so that nobody does it again who cannot follow it.

    Raises:
        ServiceError: It cannot be followed.
    """
    import asyncio

    from app.client.errors import ServiceError, exit_status_of
    from app.client.show import drawing_of, show_until_end
    from app.client.states import failed_text

    drawing = drawing_of(job, as_json=as_json, only_end=only_end)
    usual = os.environ.get("FANFOLD_URL", DEFAULT_URL).rstrip("/")
    at = "" if address.url == usual else f" --url {address.url}"
    try:
        end = asyncio.run(show_until_end(address, job["id"], drawing))
    except KeyboardInterrupt:
        tell([f"job {job['id']} goes on; 'fanfold watch {job['id']}{at}' follows it again"])
        return INTERRUPTED
    except ServiceError as exc:
        if done is None:
            raise
        first, *others = exc.lines
        told = f"{job['id']}: {done}; it cannot be followed: {first}"
        raise ServiceError(told, *others, code=exc.code) from exc
    if (failed := failed_text(end)) and not as_json:
        tell([f"{failed}: 'fanfold failures {job['id']}{at}' lists them"])
    if end["resultRows"] and not as_json:
        tell([f"'fanfold result {job['id']}{at}' prints the rows"])
    return exit_status_of(end["state"])
