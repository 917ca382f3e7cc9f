"""What clients send, checked to the last field, and what they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from engine.jsonvalue import long_integer_in
from transport.websocket.closing import Close, CloseCode

MAX_ID_LENGTH: Final = 256
ACK: Final = b'{"type":"connection_ack"}'


@dataclass(frozen=True, slots=True)
class ConnectionInit:
    """``connection_init``."""

    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    """``ping``; the payload goes back as it came."""

    payload: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    """``pong``."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """``subscribe``: an operation of any kind.

    Attributes:
        id: Of the operation.
        query: The document.
        operation_name: Of several, the one that is meant.
        variables: By name.
        long_integer: One of more than 64 bits that the message has, and that is no number here.
    """

    id: str
    query: str
    operation_name: str | None
    variables: Mapping[str, Any] | None
    long_integer: str | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """``complete``."""

    id: str


Received: TypeAlias = ConnectionInit | Ping | Pong | Subscribe | Complete


def parse(text: str) -> Received:
    """Return the message that *text* is.

    Raises:
        Close: It is none; with 4400.
    """
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise bad("a message must be JSON") from None
    if not isinstance(message, dict):
        raise bad("a message must be a JSON object")
    kind = message.get("type")
    if not isinstance(kind, str):
        raise bad("a message must have a type, which is a string")
    if kind == "subscribe":
        return _subscribe(message, long_integer_in(text))
    if kind == "complete":
        return Complete(_id(message))
    if kind == "connection_init":
        return ConnectionInit(_payload(message) or {})
    if kind == "ping":
        return Ping(_payload(message))
    if kind == "pong":
        _payload(message)
        return Pong()
    raise bad(f"no message has the type {kind[:40]!r}")


def bad(reason: str) -> Close:
    """Return what closes a connection that sent something else than messages."""
    return Close(CloseCode.BAD_REQUEST, f"Invalid message: {reason}")


def pong(payload: Mapping[str, Any] | None) -> bytes:
    """Return the answer to a ping.

    Raises:
        Close: The payload cannot be sent back; with 4400.
    """
    answer = {"type": "pong"} if payload is None else {"type": "pong", "payload": payload}
    try:
        return orjson.dumps(answer)
    except orjson.JSONEncodeError:
        raise bad("the payload is nested too deep") from None


def next_prefix(id: str) -> bytes:
    """Return what a ``next`` message begins with; its payload and ``}`` follow."""
    return b'{"id":' + orjson.dumps(id) + b',"type":"next","payload":'


def error(id: str, errors: Sequence[Mapping[str, Any]]) -> bytes:
    """Return an ``error`` message."""
    return orjson.dumps({"id": id, "type": "error", "payload": errors})


def complete(id: str) -> bytes:
    """Return a ``complete`` message."""
    return orjson.dumps({"id": id, "type": "complete"})


def _subscribe(message: Mapping[str, Any], long_integer: str | None) -> Subscribe:
    id = _id(message)
    payload = message.get("payload")
    if not isinstance(payload, dict):
        raise bad("subscribe must have a payload, which is an object")
    query, name = payload.get("query"), payload.get("operationName")
    variables, extensions = payload.get("variables"), payload.get("extensions")
    if not isinstance(query, str):
        raise bad("payload.query must be a string")
    if not isinstance(name, str | None):
        raise bad("payload.operationName must be a string")
    if not isinstance(variables, dict | None):
        raise bad("payload.variables must be an object")
    if not isinstance(extensions, dict | None):
        raise bad("payload.extensions must be an object")
    return Subscribe(id, query, name, variables, long_integer)


def _id(message: Mapping[str, Any]) -> str:
    id = message.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID_LENGTH:
        raise bad(f"id must be a string of 1 to {MAX_ID_LENGTH} characters")
    return id


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    payload = message.get("payload")
    if not isinstance(payload, dict | None):
        raise bad("payload must be an object")
    return payload
