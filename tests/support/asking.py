"""Operations run as every protocol runs them, without one."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from schema.context import Context
from transport.fan_out import FanOut
from transport.group import Errors
from transport.operations import Operations, RequestError

ENDS_WITHIN_S: Final = 30.0


async def answer_of(
    operations: Operations,
    context: Context,
    query: str,
    *,
    name: str | None = None,
    **variables: Any,
) -> dict[str, Any]:
    """Return the whole response to a query or mutation."""
    try:
        operation = operations.prepare(query, name)
        answer: dict[str, Any] = json.loads(await operations.run(operation, variables, context))
    except RequestError as exc:
        return {"errors": json.loads(exc.payload)["errors"]}
    return answer


async def answers_of(
    operations: Operations,
    context: Context,
    query: str,
    *,
    name: str | None = None,
    **variables: Any,
) -> list[dict[str, Any]]:
    """Return all responses to a subscription; a refusal is one."""
    reader = _Reader()
    try:
        operation = operations.prepare(query, name)
        membership = FanOut(context.hub).join(operation, variables, context, reader)
    except RequestError as exc:
        return [json.loads(exc.payload)]
    async with asyncio.timeout(ENDS_WITHIN_S):
        await reader.ended.wait()
    membership.leave()
    return reader.answers


class _Reader:
    """Implements ``Subscriber``."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.ended = asyncio.Event()

    def push(self, payload: bytes) -> bool:
        self.answers.append(json.loads(payload))
        return True

    def complete(self) -> None:
        self.ended.set()

    def fail(self, errors: Errors) -> None:
        self.answers.append(json.loads(RequestError(errors).payload))
        self.ended.set()
