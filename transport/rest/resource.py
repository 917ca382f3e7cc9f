"""A resource: its methods, behind the same door.

Owns what all requests have in common: which methods there are, which pages may call, who calls, and
how a failure is answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from resolvers.access.authentication import Authenticator
from resolvers.access.caller import Caller
from transport.bodies import Disconnected
from transport.credentials import credential_of
from transport.origins import Origins
from transport.rest.problems import Problem, problem_of

_ONCE: Final = ("authorization", "content-type", "host", "idempotency-key", "origin")

Handler = Callable[[Request, Caller], Awaitable[Response]]


class Resource:
    """An ASGI application for one path.

    Args:
        handlers: What answers each method; GET also answers HEAD.
        authenticator: Tells who calls.
        origins: The pages that may call.
    """

    def __init__(
        self, handlers: Mapping[str, Handler], *, authenticator: Authenticator, origins: Origins
    ) -> None:
        self._handlers = dict(handlers)
        if "GET" in handlers:
            self._handlers["HEAD"] = handlers["GET"]
        self._authenticator = authenticator
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Disconnected:
            return
        except Exception as exc:  # noqa: BLE001 - told to the caller, or logged under a reference
            response = problem_of(exc).response()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        handler = self._handlers.get(request.method)
        if handler is None:
            allowed = ", ".join(sorted(self._handlers))
            raise Problem(
                405,
                "METHOD_NOT_ALLOWED",
                f"{request.method} is not for this resource; use {allowed}",
                headers={"Allow": allowed},
            )
        if not self._origins.allow(request.headers.get("origin"), host=request.headers.get("host")):
            raise Problem(403, "FORBIDDEN", "pages of this origin may not call this service")
        for name in _ONCE:
            if len(request.headers.getlist(name)) > 1:
                raise Problem(400, "BAD_REQUEST", f"the header {name} is given twice")
        caller = await self._authenticator.authenticate(
            credential_of(request.headers.get("authorization"))
        )
        return await handler(request, caller)
