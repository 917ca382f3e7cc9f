"""What goes wrong, as ``application/problem+json``.

Every expected error keeps its message and code; anything else is a fault of ours: it is logged
whole under a reference, and the caller gets the reference.

Source: RFC 9457.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from engine.errors import (
    FanfoldError,
    ForbiddenError,
    IdempotencyConflictError,
    InputError,
    InvalidStateError,
    NotFoundError,
    QuotaExceededError,
    SourceError,
    UnauthenticatedError,
    UnavailableError,
)
from engine.jsonvalue import encode
from schema.masking import INTERNAL
from transport.operations import RequestError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1.0
STATUS_OF: Final[Mapping[type[FanfoldError], int]] = {
    InputError: 422,
    SourceError: 422,
    NotFoundError: 404,
    InvalidStateError: 409,
    IdempotencyConflictError: 409,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    QuotaExceededError: 429,
    UnavailableError: 503,
}
"""What a caller can act on, and its class' children; all others are masked."""

_log = logging.getLogger(__name__)


class Problem(Exception):
    """Something about a request that HTTP has a status for and the engine knows nothing of.

    Attributes:
        status: The status.
        code: To branch on.
        detail: For people.
        headers: Of the answer.
        more: Further members.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        retryable: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = {"retryable": retryable, **more}

    def response(self) -> Response:
        """Return the answer."""
        body = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.more,
        }
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(encode(body), self.status, headers, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """Return what the caller is told of *error*; log what they are not."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestError):
        first = error.errors[0]
        return Problem(error.status, first["extensions"]["code"], str(first["message"]))
    if isinstance(error, FanfoldError):
        for kind, status in STATUS_OF.items():
            if isinstance(error, kind):
                return _expected(error, status)
    reference = secrets.token_hex(6)
    _log.error("internal error %s", reference, exc_info=error)
    return Problem(500, INTERNAL, f"internal error, reference {reference}")


def _expected(error: FanfoldError, status: int) -> Problem:
    headers: dict[str, str] = {}
    more: dict[str, Any] = {}
    code = error.code
    match error:
        case InputError():
            more["issues"] = [
                {"path": list(issue.path), "message": issue.message} for issue in error.issues
            ]
        case SourceError():
            code = SourceError.code
            more |= {"path": error.path and list(error.path), "location": error.location}
        case InvalidStateError():
            more["state"] = error.state
        case IdempotencyConflictError():
            more["existingJobId"] = error.existing_job_id
        case QuotaExceededError():
            more["retryAfterSeconds"] = error.retry_after_s
            headers["Retry-After"] = _seconds(error.retry_after_s)
        case UnauthenticatedError():
            headers["WWW-Authenticate"] = "Bearer"
        case UnavailableError():
            _log.warning("unavailable: %s", error)
            headers["Retry-After"] = _seconds(RETRY_AFTER_S)
    return Problem(status, code, error.message, headers=headers, retryable=error.retryable, **more)


def _seconds(value: float) -> str:
    return str(max(1, math.ceil(value)))
