"""Why a server closes a connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAX_REASON_BYTES: Final = 123
"""What RFC 6455 leaves room for in a close frame; a longer reason would break the connection."""


class CloseCode(IntEnum):
    """Those of graphql-ws, and of RFC 6455 those that are used here."""

    GOING_AWAY = 1001
    POLICY_VIOLATION = 1008
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429
    INTERNAL_SERVER_ERROR = 4500


@dataclass(frozen=True, slots=True)
class Close(Exception):
    """The connection must be closed."""

    code: CloseCode
    reason: str


def cut(reason: str) -> str:
    """Return as much of *reason* as a close frame holds."""
    data = reason.encode(errors="replace")
    if len(data) <= MAX_REASON_BYTES:
        return data.decode()
    return data[: MAX_REASON_BYTES - 3].decode(errors="ignore") + "…"
