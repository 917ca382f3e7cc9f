"""The webhook of a job, and whether it has been told."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from engine import webhook_delivery as engine_webhook_delivery
from schema.enums import WebhookState


@strawberry.type(description="How far telling a webhook has come that the present run has ended.")
class WebhookDelivery:
    """GraphQL ``WebhookDelivery``."""

    host: str = strawberry.field(description="Who is told; spec has the whole address.")
    state: WebhookState
    attempts: int = strawberry.field(description="How often it was tried.")
    last_status_code: int | None = strawberry.field(
        description="What was answered last; null where there was no answer."
    )
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None = strawberry.field(
        description="Null where none waits: it is due now, or over."
    )

    @classmethod
    def of(cls, found: engine_webhook_delivery.WebhookDelivery) -> Self:
        """Translate the engine's delivery."""
        return cls(
            host=found.host,
            state=found.state,
            attempts=found.attempts,
            last_status_code=found.last_status_code,
            last_attempt_at=found.last_attempt_at,
            next_attempt_at=found.next_attempt_at,
        )
