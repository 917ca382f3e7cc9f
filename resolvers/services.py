"""What every resolver works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.blobs import BlobStore
from engine.catalog import Catalog
from engine.jobs import JobControl, JobStore
from engine.output.destination import Destinations
from engine.runner import Runner
from engine.signing import Signer
from engine.source.sources import Sources
from engine.sql.checker import SqlChecker
from engine.tracer import UNTRACED, Tracer
from engine.webhooks import NoWebhooks, WebhookAddresses
from resolvers.access.quotas import Refusals
from resolvers.source_threads import SourceThreads


@dataclass(frozen=True, slots=True)
class Limits:
    """What this deployment tells its callers about itself.

    Attributes:
        inline_result_bytes: Largest result that is shown whole in a job's status.
        max_wait_ms: Longest time that a submit may wait for its job to end.
        version: Version of the service.
        sql_enabled: Whether jobs may be given as SQL.
        max_task_s: Longest that one attempt at a task may run; None for as long as its job lets it.
        runners: Where tasks may run; the first where nothing is said.
    """

    inline_result_bytes: int
    max_wait_ms: int
    version: str
    sql_enabled: bool = True
    max_task_s: int | None = None
    runners: tuple[Runner, ...] = (Runner.WORKERS,)


@dataclass(frozen=True, slots=True)
class Services:
    """The ports and values of one process; built once, in ``app``."""

    catalog: Catalog
    jobs: JobStore
    control: JobControl
    blobs: BlobStore
    sources: Sources
    destinations: Destinations
    signer: Signer
    sql: SqlChecker
    limits: Limits
    webhooks: WebhookAddresses = field(default_factory=NoWebhooks)
    tracer: Tracer = UNTRACED
    refusals: Refusals = field(default_factory=Refusals)
    threads: SourceThreads = field(default_factory=SourceThreads)
