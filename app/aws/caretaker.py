"""The Lambda function that looks after jobs: every minute, and whenever one has ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from adapters.dynamodb.jobs import DynamoJobs
from adapters.dynamodb.records import DynamoRecords
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.sweeper import DynamoSweeper
from adapters.dynamodb.webhooks import DynamoWebhooks
from adapters.https.webhooks import HttpxWebhooks
from app.aws.launchers import launchers_of, watchers_of
from app.aws.process import Process
from app.aws.settings import Deployment
from app.aws.table import table_of
from app.runtime import blobs_of, signer_of
from engine.blobs import BlobStore
from engine.errors import UnavailableError
from engine.failed_runs import RunWatcher, end_failed_runs
from engine.ledger import Sweeper
from engine.run_ledger import RunLedger
from engine.webhooks import key_name, webhook_secret
from workers.caretaker import look_after_jobs, remove_old_uploads
from workers.lister import Lister
from workers.webhooks import Webhooks

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Care:
    """What a caretaker works with."""

    sweeper: Sweeper
    blobs: BlobStore
    lister: Lister
    webhooks: Webhooks
    ledger: RunLedger
    watchers: Iterable[RunWatcher]
    keep_uploads_s: int

    async def take(self) -> None:
        """Tell webhooks first, because somebody waits for those; then tidy up."""
        await self.webhooks.look()
        await look_after_jobs(self.sweeper, self.blobs, lister=self.lister)
        await asyncio.to_thread(remove_old_uploads, self.blobs, keep_s=self.keep_uploads_s)
        for watcher in self.watchers:
            try:
                await asyncio.to_thread(end_failed_runs, watcher, self.ledger)
            except UnavailableError as exc:  # which holds up nothing else
                log.warning("runs that were given up stay as they are for now: %s", exc)
        await self.webhooks.settled()


@asynccontextmanager
async def care_of(deployment: Deployment) -> AsyncIterator[Care]:
    """Make what a caretaker works with, which ends with the context."""
    settings = deployment.common
    table = table_of(deployment.aws)
    blobs, signer = blobs_of(settings), signer_of(settings)
    launchers = launchers_of(deployment.aws)
    with HttpxWebhooks(settings.webhook_hosts) as sender:
        yield Care(
            sweeper=DynamoSweeper(table, blobs, launchers=launchers),
            blobs=blobs,
            lister=Lister(DynamoRecords(table, blobs), blobs, Path(settings.data_dir) / "listings"),
            webhooks=Webhooks(
                DynamoWebhooks(table, key=key_name(signer)),
                jobs=DynamoJobs(table, blobs),
                sender=sender,
                secret_of=partial(webhook_secret, signer),
            ),
            ledger=DynamoRunLedger(table, blobs),
            watchers=watchers_of(launchers),
            keep_uploads_s=settings.retention_seconds,
        )


@cache
def _process() -> Process[Care]:
    return Process(care_of)


def handler(_event: object, _context: object) -> None:
    """Look after everything that is due."""
    _process().run(lambda care: care.take())
