"""The webhook of a job as a resource: whether it has been told."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import NotFoundError
from engine.jsonvalue import encode
from engine.status_json import write_instant
from engine.webhook_delivery import WebhookDelivery
from resolvers.access.caller import Caller
from resolvers.read import require_job
from resolvers.services import Services
from transport.negotiation import JSON

_HEADERS: Final = {"Cache-Control": "private, no-store", "Vary": "Authorization"}


class JobWebhooks:
    """Answers requests for the webhooks of jobs.

    Args:
        services: For resolvers.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def delivery(self, request: Request, caller: Caller) -> Response:
        """Answer ``GET /jobs/{id}/webhook``.

        Raises:
            NotFoundError: There is no such job, it is another tenant's, or it has no webhook that
                the caller may know of.
        """
        job = await require_job(self._services, caller=caller, job_id=request.path_params["id"])
        if job.webhook is None:
            raise NotFoundError(f"job {job.id} has no webhook")
        return Response(encode(_to_json(job.webhook)), 200, _HEADERS, JSON)


def _to_json(found: WebhookDelivery) -> dict[str, Any]:
    last, following = found.last_attempt_at, found.next_attempt_at
    return {
        "host": found.host,
        "state": found.state,
        "attempts": found.attempts,
        "lastStatusCode": found.last_status_code,
        "lastAttemptAt": None if last is None else write_instant(last),
        "nextAttemptAt": None if following is None else write_instant(following),
    }
