"""The caretaker: repairs what dead workers left behind and tidies up after ended jobs.

Every worker runs one. None leads: each step is atomic, so that two at once do no harm.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from pathlib import Path
from typing import Final

from engine.blobs import BlobStore
from engine.errors import NotFoundError, UnavailableError
from engine.job import JobId
from engine.ledger import EndedJob, Sweeper
from engine.result import Manifest
from engine.uploads import expired_uploads, unfinished_uploads
from workers.lister import Lister

SWEEP_EVERY_S: Final = 0.25
SWEEP_UPLOADS_EVERY_S: Final = 600.0
KEEP_UNFINISHED_S: Final = 6 * 3600.0

log = logging.getLogger(__name__)


async def take_care(
    sweeper: Sweeper,
    blobs: BlobStore,
    *,
    lister: Lister | None = None,
    keep_uploads_s: int,
    unfinished: Path | None = None,
) -> None:
    """Sweep about four times a second until cancelled; a pass that fails is logged, the next comes.

    Args:
        sweeper: The ledger.
        blobs: Where jobs leave things.
        lister: Writes how far runs came that ended without a result; None leaves them alone.
        keep_uploads_s: After this time an uploaded file is removed.
        unfinished: Where uploads come in; what a process that was killed left there is removed
            when nothing has been written to it for six hours.
    """
    uploads_due_s = 0.0
    while True:
        await asyncio.sleep(SWEEP_EVERY_S * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load
        try:
            await look_after_jobs(sweeper, blobs, lister=lister)
            if time.monotonic() >= uploads_due_s:
                uploads_due_s = time.monotonic() + SWEEP_UPLOADS_EVERY_S
                if unfinished is not None:
                    await asyncio.to_thread(_remove_unfinished, unfinished)
                await asyncio.to_thread(remove_old_uploads, blobs, keep_s=keep_uploads_s)
        except UnavailableError as exc:
            log.warning("caretaker: %s", exc)
        except Exception:
            log.exception("caretaker: one pass failed")


async def look_after_jobs(
    sweeper: Sweeper, blobs: BlobStore, *, lister: Lister | None = None
) -> None:
    """Do once what jobs need; the arguments are as for ``take_care``.

    Raises:
        UnavailableError: The ledger or the blob store does not answer.
    """
    if count := await sweeper.sweep():
        log.info("repaired %d tasks or jobs", count)
    if lister is not None:
        await _report(sweeper, lister)
    await _tidy(sweeper, blobs)
    await _erase(sweeper, blobs)


async def _report(sweeper: Sweeper, lister: Lister) -> None:
    """Write how far ended runs came; where one cannot be written, the others are."""
    for run in await sweeper.unreported_runs():
        try:
            manifest = await lister.report(run)
            if not await sweeper.reported(run, manifest):
                await lister.withdraw(manifest)
        except (UnavailableError, OSError) as exc:
            log.warning("caretaker: how far run %d of %s came: %s", run.run, run.job, exc)
        except Exception:
            log.exception("caretaker: how far run %d of %s came", run.run, run.job)


async def _tidy(sweeper: Sweeper, blobs: BlobStore) -> None:
    """Remove what ended jobs no longer need; a job is ticked off when that is gone.

    Another caretaker may have done so already, and the next run have begun: only what was there
    before the ledger is asked is removed.
    """
    for ended in await sweeper.ended_jobs():
        leftovers = await asyncio.to_thread(_leftovers, blobs, ended)
        if await sweeper.is_untidied(ended):
            await asyncio.to_thread(blobs.delete, leftovers)
            await sweeper.cleaned(ended)


async def _erase(sweeper: Sweeper, blobs: BlobStore) -> None:
    """Remove expired and deleted jobs, the ledger's part last: until then they come up again."""
    for job in await sweeper.expired_jobs():
        await asyncio.to_thread(_remove_all, blobs, job)
        await sweeper.erase(job)


def _remove_all(blobs: BlobStore, job: JobId) -> None:
    blobs.delete(list(blobs.list(f"jobs/{job}")))


def remove_old_uploads(blobs: BlobStore, *, keep_s: int) -> None:
    """Remove uploaded files that came *keep_s* ago.

    Raises:
        UnavailableError: The blob store does not answer.
    """
    now_ms = time.time_ns() // 1_000_000
    blobs.delete(list(expired_uploads(blobs, now_ms=now_ms, keep_s=keep_s)))


def _remove_unfinished(folder: Path) -> None:
    for found in unfinished_uploads(folder, now_s=time.time(), keep_s=KEEP_UNFINISHED_S):
        shutil.rmtree(found, ignore_errors=True)


def _leftovers(blobs: BlobStore, ended: EndedJob) -> list[str]:
    """Return every blob of a job that its manifest does not name: shuffle, and lost attempts'."""
    kept = set() if ended.manifest is None else _named_by(blobs, ended.manifest)
    return [name for name in blobs.list(f"jobs/{ended.id}") if name not in kept]


def _named_by(blobs: BlobStore, manifest: str) -> set[str]:
    try:
        names = Manifest.from_bytes(blobs.read(manifest)).names
    except NotFoundError:  # the job has just been deleted, or somebody has emptied the store
        return set()
    return {manifest, *names}
