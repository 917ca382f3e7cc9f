"""The caretaker: repairs what dead workers left behind and tidies up after ended jobs.

Every worker runs one. None leads: each step is atomic, so that two at once do no harm.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from engine.blobs import BlobStore
from engine.errors import UnavailableError
from engine.ledger import Sweeper

SWEEP_EVERY_S: Final = 0.5

log = logging.getLogger(__name__)


async def take_care(sweeper: Sweeper, blobs: BlobStore) -> None:
    """Sweep about twice a second until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load
        try:
            if count := await sweeper.sweep():
                log.info("repaired %d tasks or jobs", count)
            await _tidy(sweeper, blobs)
        except UnavailableError as exc:
            log.warning("caretaker: %s", exc)


async def _tidy(sweeper: Sweeper, blobs: BlobStore) -> None:
    """Remove the shuffle of ended jobs. Repeatable: a job is ticked off when its blobs are gone."""
    for job in await sweeper.ended_jobs():
        await asyncio.to_thread(_remove, blobs, f"jobs/{job}/shuffle")
        await sweeper.cleaned(job)


def _remove(blobs: BlobStore, prefix: str) -> None:
    blobs.delete(list(blobs.list(prefix)))
