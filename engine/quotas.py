"""How much a tenant may have, and how often it may ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of every tenant; 0 is none.

    Attributes:
        live_jobs: Jobs that have not ended; a redriven job is one of them again.
        queued_tasks: Tasks that nobody has begun, of all live jobs. Counted once a second; a source
            that is yet to be listed counts as one.
        connections: Open WebSockets and event streams of one API process.
        submits_per_minute: Accepted jobs; a minute's worth may come at once.
    """

    live_jobs: int = 0
    queued_tasks: int = 0
    connections: int = 0
    submits_per_minute: int = 0
