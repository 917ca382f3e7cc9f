"""What is known of telling a job's webhook; the telling itself is in ``engine/webhooks.py``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class WebhookState(StrEnum):
    """Where telling the end of a job's present run stands."""

    WAITING = "WAITING"
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """What became of telling a webhook that the job's present run has ended.

    Why there was no answer is not told: who gives addresses could look at our network by it.

    Attributes:
        host: Who is told, with a port if one was given; the rest of an address is often a secret.
        state: Where it stands.
        attempts: How often it was tried.
        last_status_code: What was answered last; None for nothing, or no try.
        last_attempt_at: When the last try ended.
        next_attempt_at: When the next one is due; None when it is due now, or there is none.
    """

    host: str
    state: WebhookState
    attempts: int = 0
    last_status_code: int | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
