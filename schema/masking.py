"""What clients see of an error.

What a caller can act on keeps its message and gets a code; everything else is a fault of ours: it
is logged whole under a reference, and the client gets the reference: the id of its request.
"""

from __future__ import annotations

import logging
import secrets
from typing import Final

from graphql import GraphQLError, ValueNode, VariableDefinitionNode

from engine.errors import (
    FanfoldError,
    ForbiddenError,
    InputError,
    InvalidStateError,
    NotFoundError,
    QuotaExceededError,
    UnauthenticatedError,
    UnavailableError,
)
from engine.log_context import current_log_fields

PARSE_FAILED: Final = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED: Final = "GRAPHQL_VALIDATION_FAILED"
BAD_REQUEST: Final = "BAD_REQUEST"
INTERNAL: Final = "INTERNAL"

_SHOWN: Final = (
    ForbiddenError,
    InputError,
    InvalidStateError,
    NotFoundError,
    QuotaExceededError,
    UnauthenticatedError,
    UnavailableError,
)
_log = logging.getLogger(__name__)


def for_client(error: GraphQLError) -> GraphQLError:
    """Return what the client may see of *error*, with ``extensions.code``; log what it may not."""
    if error.extensions and "code" in error.extensions:
        return error
    cause = _cause_of(error)
    if isinstance(cause, _SHOWN):
        return _expected(error, cause)
    if _is_about_the_request(error, cause):
        return coded(error, BAD_REQUEST)
    return _masked(error, cause)


def coded(error: GraphQLError, code: str, message: str | None = None) -> GraphQLError:
    """Return a copy of *error* with a code and without the exception that led to it."""
    return GraphQLError(
        message=error.message if message is None else message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code},
    )


def _cause_of(error: GraphQLError) -> Exception | None:
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_about_the_request(error: GraphQLError, cause: Exception | None) -> bool:
    """Whether a variable or argument is wrong, or the document as a whole."""
    if error.path is None and cause is None:
        return True
    about = (ValueNode, VariableDefinitionNode)
    return any(isinstance(node, about) for node in error.nodes or ())


def _expected(error: GraphQLError, cause: FanfoldError) -> GraphQLError:
    if isinstance(cause, UnavailableError):
        _log.warning("unavailable at %s: %s", error.path, cause)
    shown = coded(error, cause.code, cause.message)
    if isinstance(cause, QuotaExceededError) and shown.extensions is not None:
        shown.extensions["retryAfterSeconds"] = cause.retry_after_s
    return shown


def _masked(error: GraphQLError, cause: Exception | None) -> GraphQLError:
    reference = current_log_fields().get("request") or secrets.token_hex(6)
    _log.error("internal error %s at %s: %s", reference, error.path, error, exc_info=cause)
    return coded(error, INTERNAL, f"internal error, reference {reference}")
