"""Following jobs over a gateway that keeps the connections: a message in, states out.

A client sends ``{"action": "follow", "token": …, "job": …}``, or ``"tag"`` or nothing instead of a
job for all jobs. It gets the present state and then newer ones, ``{"type": "state", "state": …}``,
in no order that it may rely on: newer is what has the higher version. What cannot be followed is
told as ``{"type": "error", "error": {"code": …, "message": …}}``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson

from engine.errors import FanfoldError, InputError, Issue
from engine.followers import ConnectionId, Followers, Following, Gateway
from engine.job import JobId, JobStatus
from engine.status_json import status_to_json, without_long_rows
from resolvers.access.authentication import Authenticator
from resolvers.access.authorize import require
from resolvers.access.caller import Caller, Scope
from resolvers.read import require_job
from resolvers.services import Services

LIFE_S: Final = 2 * 3600.0
"""For how long a gateway keeps a connection."""
MAX_BYTES: Final = 32 * 1024
SENDERS: Final = 16
"""How many are told at once; each takes some 10 ms."""


class GatewayEndpoint:
    """Takes what clients send.

    Args:
        services: For resolvers.
        authenticator: Tells who calls.
        followers: Keeps who follows what.
        gateway: Holds the connections.
    """

    def __init__(
        self,
        services: Services,
        *,
        authenticator: Authenticator,
        followers: Followers,
        gateway: Gateway,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._followers = followers
        self._gateway = gateway

    async def take(self, connection: ConnectionId, body: str) -> None:
        """Do what a message says, and answer it over the connection."""
        try:
            answer = await self._followed(connection, _message_of(body))
        except FanfoldError as exc:
            answer = {"type": "error", "error": {"code": exc.code, "message": exc.message}}
        if not await asyncio.to_thread(self._gateway.send, connection, orjson.dumps(answer)):
            await self.leave(connection)

    async def leave(self, connection: ConnectionId) -> None:
        """Forget a connection that has gone."""
        await asyncio.to_thread(self._followers.leave, connection)

    async def _followed(self, connection: ConnectionId, message: dict[str, Any]) -> dict[str, Any]:
        """Follow what *message* says, then read where that stands: nothing is missed between."""
        caller = await self._authenticator.authenticate(message.get("token"))
        require(caller, Scope.READ)
        job, tag = message.get("job"), message.get("tag")
        if job is None:
            if caller.jobs is not None:
                raise InputError(Issue(("job",), "must be one of the jobs of the viewer token"))
            await self._follow(connection, caller, None, tag)
            return {"type": "following"}
        known = (await require_job(self._services, caller=caller, job_id=job)).id
        await self._follow(connection, caller, known, None)
        found = await require_job(self._services, caller=caller, job_id=known)
        return state_message(found.status)

    async def _follow(
        self, connection: ConnectionId, caller: Caller, job: JobId | None, tag: str | None
    ) -> None:
        until_s = min(time.time() + LIFE_S, caller.expires_at or float("inf"))
        following = Following(connection, caller.tenant, job, tag, until_s)
        await asyncio.to_thread(self._followers.add, following)


def state_message(status: JobStatus) -> dict[str, Any]:
    """Return what followers are sent; rows are left out where it would be long."""
    state = without_long_rows(status_to_json(status), limit_bytes=MAX_BYTES)
    return {"type": "state", "state": state}


def tell_followers(
    status: JobStatus,
    *,
    tenant: str,
    tags: Sequence[str],
    followers: Followers,
    gateway: Gateway,
) -> None:
    """Send a state to everybody who follows its job, and forget those who have gone.

    Raises:
        UnavailableError: The store or the gateway does not answer.
    """
    message = orjson.dumps(state_message(status))
    now_s = time.time()
    wanted = {
        following.connection
        for following in followers.of(tenant, status.id)
        if following.wants(tags, now_s=now_s)
    }
    with ThreadPoolExecutor(SENDERS) as pool:
        sending = {each: pool.submit(gateway.send, each, message) for each in wanted}
    reached = {each: sent for each, sent in sending.items() if sent.exception() is None}
    for connection, sent in reached.items():
        if not sent.result():
            followers.leave(connection)
    for sent in sending.values():
        sent.result()  # raises where somebody was not reached: all are told again
    if status.state.is_terminal:
        followers.ended(status.id)


def _message_of(body: str) -> dict[str, Any]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InputError(Issue((), "a message is a JSON object")) from exc
    if not isinstance(message, dict) or message.get("action") != "follow":
        raise InputError(Issue(("action",), "must be follow"))
    for name in ("token", "job", "tag"):
        if not isinstance(message.get(name), str | None):
            raise InputError(Issue((name,), "must be text"))
    return message
