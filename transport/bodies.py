"""What callers send: read within bounds of size and time, then taken for one operation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import Receive

from engine.jsonvalue import decode_given
from transport.operations import BODY_TOO_LARGE, RequestError

MAX_BODY_BYTES: Final = 1024 * 1024
SMALL_BODY_BYTES: Final = 64 * 1024
BODY_WITHIN_S: Final = 30.0
BODY_TOO_SLOW: Final = "BODY_TOO_SLOW"
_PARAMETERS: Final = frozenset({"query", "operationName", "variables", "extensions"})
_MAX_PARAMETERS: Final = 32


class Disconnected(Exception):
    """The caller went away before the request was complete."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One operation, as it was asked for.

    Attributes:
        query: The document's text.
        operation_name: Which of its operations; None for its only one.
        variables: By name; None for none.
    """

    query: str
    operation_name: str | None
    variables: Mapping[str, Any] | None


async def read_body(receive: Receive, *, length: str | None) -> bytes:
    """Return the body of a request.

    Args:
        receive: ASGI's.
        length: The header ``Content-Length``; None for none.

    Raises:
        RequestError: It is too large, which is told before the rest has come, or too slow.
        Disconnected: The caller went away.
    """
    if length is not None and length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        return body
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            while True:
                if message["type"] != "http.request":
                    raise Disconnected
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                if not message.get("more_body", False):
                    return b"".join(parts)
                message = await receive()
    except TimeoutError:
        problem = f"The body did not come within {BODY_WITHIN_S:.0f} s."
        raise RequestError.of(problem, code=BODY_TOO_SLOW, status=408) from None


def read_json(body: bytes) -> Asked:
    """Take a JSON document for one operation.

    Raises:
        RequestError: It is not JSON, or not a GraphQL request.
    """
    try:
        value = decode_given(body)
    except ValueError as exc:
        raise RequestError.of(f"The body is not JSON: {exc}") from None
    if isinstance(value, list):
        raise RequestError.of("Send one operation at a time: batches are not taken.")
    if not isinstance(value, dict):
        raise RequestError.of("The body must be a JSON object.")
    return asked_of(value)


def read_query_string(query_string: bytes) -> Asked:
    """Take the parameters of a URL for one operation.

    Raises:
        RequestError: They are not a GraphQL request.
    """
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise RequestError.of("The URL's parameters cannot be read.") from None
    value: dict[str, Any] = {}
    for name, text in pairs:
        if name not in _PARAMETERS:
            continue
        if name in value:
            raise RequestError.of(f"The parameter '{name}' is given twice.")
        value[name] = text
    for name in ("variables", "extensions"):
        if name in value:
            value[name] = _json_parameter(name, value[name])
    return asked_of({**value, "operationName": value.get("operationName") or None})


def asked_of(value: Mapping[str, Any]) -> Asked:
    """Take a JSON object for one operation.

    Raises:
        RequestError: A part is missing or of the wrong type.
    """
    query = value.get("query")
    if not isinstance(query, str) or not query:
        raise RequestError.of("'query' must be the text of a GraphQL document.")
    operation_name = value.get("operationName")
    if not isinstance(operation_name, str | None):
        raise RequestError.of("'operationName' must be a string.")
    variables = value.get("variables")
    if not isinstance(variables, dict | None):
        raise RequestError.of("'variables' must be an object.")
    if not isinstance(value.get("extensions"), dict | None):
        raise RequestError.of("'extensions' must be an object.")
    return Asked(query, operation_name, variables)


def _json_parameter(name: str, text: str) -> Any:
    if not text:
        return None
    try:
        return decode_given(text)
    except ValueError as exc:
        raise RequestError.of(f"The parameter '{name}' is not JSON: {exc}") from None


def _too_large() -> RequestError:
    return RequestError.of(
        f"The body is larger than {MAX_BODY_BYTES // 1024} KiB.", code=BODY_TOO_LARGE, status=413
    )
