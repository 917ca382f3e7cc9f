"""What resolvers work with, made from the settings; alike wherever they run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Protocol

from adapters.https.webhooks import HttpxWebhooks
from app.processes import sql_process
from app.runtime import destinations_of, sources_of
from app.settings import Settings
from engine.blobs import BlobStore
from engine.catalog import load_catalog
from engine.jobs import JobControl, JobStore
from engine.runner import Runner
from engine.signing import Signer
from engine.tracer import UNTRACED, Tracer
from resolvers.services import Limits, Services
from resolvers.source_threads import SourceThreads
from workers.checker import ProcessChecker


class Jobs(JobStore, JobControl, Protocol):
    """A store whose jobs may also be acted on."""


@asynccontextmanager
async def services_of(
    settings: Settings,
    *,
    jobs: Jobs,
    blobs: BlobStore,
    signer: Signer,
    runners: Sequence[Runner] = (Runner.WORKERS,),
    tracer: Tracer = UNTRACED,
) -> AsyncIterator[Services]:
    """Make the services of this process, which end with the context.

    Args:
        settings: Of the deployment.
        jobs: Where jobs are.
        blobs: Where data rests.
        signer: Makes tokens.
        runners: Where tasks may run; the first where nothing is said.
        tracer: Opens spans.

    Raises:
        ConfigError: A program cannot be loaded.
    """
    checker = sql_process(settings)
    threads = SourceThreads()
    try:
        with HttpxWebhooks(settings.webhook_hosts) as webhooks:
            yield Services(
                catalog=load_catalog(settings.programs),
                jobs=jobs,
                control=jobs,
                blobs=blobs,
                sources=sources_of(settings, blobs),
                destinations=destinations_of(settings),
                signer=signer,
                sql=ProcessChecker(checker),
                threads=threads,
                webhooks=webhooks,
                tracer=tracer,
                limits=Limits(
                    inline_result_bytes=settings.inline_result_bytes,
                    max_wait_ms=settings.max_wait_ms,
                    version=metadata.version("fanfold"),
                    sql_enabled=settings.sql,
                    # Elsewhere Lambda's and EMR's own limits hold.
                    max_task_s=settings.longest_task_s if Runner.WORKERS in runners else None,
                    runners=tuple(runners),
                ),
            )
    finally:
        threads.close()
        await checker.stop()
