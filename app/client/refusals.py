"""From what a service answers instead of what was asked for to one ServiceError."""

from __future__ import annotations

import re
import ssl
from typing import Any, Final

from gql.transport.exceptions import TransportQueryError

from app.client.address import Address
from app.client.errors import ServiceError, has_ended
from app.client.flags import problem_of

HOW_TO_SIGN_IN: Final = (
    "give an API key or another token with FANFOLD_TOKEN or --token; 'fanfold key create' makes a "
    "key, where the service runs"
)
_HINTS: Final = {
    "UNAUTHENTICATED": HOW_TO_SIGN_IN,
    "BODY_TOO_LARGE": "standard input travels with the request: put more into a file; --upload "
    "sends one of this machine",
}
_LARGEST_INT: Final = 2**31 - 1
_TOO_LARGE: Final = re.compile(
    r"Variable '\$(?P<variable>\w+)' has invalid value(?: at (?P<path>\S+))?: "
    r"Int cannot represent non 32-bit signed integer value: (?P<value>\S+)"
)
"""How GraphQL refuses a number before anybody else looks at it."""


def refusal(exc: TransportQueryError) -> ServiceError:
    """Translate the errors of a whole request; the first one's code counts."""
    errors = exc.errors or [{"message": str(exc)}]
    code = (errors[0].get("extensions") or {}).get("code", "BAD_REQUEST")
    lines = [_told(str(error["message"])) for error in errors]
    return ServiceError(*lines, *([_HINTS[code]] if code in _HINTS else []), code=code)


def accepted(outcome: dict[str, Any]) -> dict[str, Any]:
    """Return the success of a result union, or raise what stands there instead."""
    if "code" not in outcome:
        return outcome
    issues = [problem_of(issue["path"], issue["message"]) for issue in outcome.get("issues", [])]
    message = outcome["message"]
    if (job_id := outcome.get("existingJobId")) is not None:
        message = f"{message}, that of {job_id}"
    raise ServiceError(*(issues or [message]), code=outcome["code"])


def existing(data: dict[str, Any], job_id: str) -> dict[str, Any]:
    """Return the job of an answer, or raise that there is none."""
    job: dict[str, Any] | None = data["job"]
    if job is None:
        raise no_such_job(job_id)
    return job


def no_such_job(job_id: str) -> ServiceError:
    """Return the error for a job that is not there, or not for this caller."""
    return ServiceError(f"no job {job_id!r}: 'fanfold jobs' lists them", code="NOT_FOUND")


def no_result(job_id: str, state: str) -> ServiceError:
    """Return the error for a job without a result, with what may lead to one."""
    next_step = (
        f"'fanfold watch {job_id}' tells why"
        if has_ended(state)
        else f"'fanfold watch {job_id}' follows it"
    )
    message = f"job {job_id} is {state} and has no result: {next_step}"
    return ServiceError(message, code="INVALID_STATE")


def unsendable(cause: BaseException | None) -> ServiceError:
    """Return the error for a request that never left, because it cannot be written."""
    why = "is not UTF-8" if isinstance(cause, UnicodeError) else f"cannot be written: {cause}"
    return ServiceError(f"the request {why}", code="BAD_REQUEST")


def insecure(exc: BaseException, address: Address) -> ServiceError | None:
    """Return the error for a connection that TLS has refused; None when it was not TLS."""
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = f"its certificate is refused: {cause.verify_message}"
        hint = "SSL_CERT_FILE names a file of certificates to trust"
    else:
        why, hint = "what answers there does not speak TLS", "is it http instead of https?"
    return ServiceError(f"no connection to {address.url}: {why}; {hint}", code="NOT_A_SERVICE")


def _told(message: str) -> str:
    """Return an error of the whole request; a number that is too large with its option."""
    found = _TOO_LARGE.fullmatch(message)
    if found is None:
        return message
    path = (found["path"] or "").strip(".").split(".")
    problem = f"must be at most {_LARGEST_INT}, is {found['value']}"
    return problem_of([found["variable"], *filter(None, path)], problem)
