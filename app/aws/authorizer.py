"""The Lambda function that tells AppSync who calls, by Fanfold's own keys and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from app.aws.api import Api, api_of
from app.aws.process import Process
from engine.errors import UnauthenticatedError
from transport.appsync.identity import context_of

KNOWN_FOR_S: Final = 2
"""For how long AppSync need not ask again; what is revoked counts until then."""


@cache
def _process() -> Process[Api]:
    return Process(api_of)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answer AppSync's question.

    Args:
        event: ``authorizationToken`` is what the caller shows.
    """
    token = event["authorizationToken"].removeprefix("Bearer ")
    return _process().run(lambda api: _authorize(api, token))


async def _authorize(api: Api, token: str) -> dict[str, Any]:
    try:
        caller = await api.credentials.authenticate(token)
    except UnauthenticatedError:
        return {"isAuthorized": False}
    return {
        "isAuthorized": True,
        "resolverContext": context_of(caller),
        "ttlOverride": KNOWN_FOR_S,
    }
