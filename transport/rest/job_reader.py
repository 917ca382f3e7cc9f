"""The job that a request names, read now or when there is news of it."""

from __future__ import annotations

from collections.abc import Container
from contextlib import nullcontext
from functools import partial

from starlette.requests import Request

from engine.job import Job
from resolvers.access.authentication import Authenticator
from resolvers.access.caller import Caller
from resolvers.access.quotas import Connections
from resolvers.live.hub import StatusHub
from resolvers.live.wait import await_job
from resolvers.services import Services
from transport.rest.polling import Polls, wait_ms_of


class JobReader:
    """Reads jobs for requests; one that waits counts as a connection of its tenant.

    Args:
        services: For resolvers.
        hub: For resolvers.
        authenticator: Tells when what a caller showed is over.
        connections: Counts those who wait.
        polls: The long polls of this process.
    """

    def __init__(
        self,
        services: Services,
        *,
        hub: StatusHub,
        authenticator: Authenticator,
        connections: Connections,
        polls: Polls,
    ) -> None:
        self._services = services
        self._hub = hub
        self._authenticator = authenticator
        self._connections = connections
        self._polls = polls

    async def read(
        self, request: Request, caller: Caller, *, known: Container[int] | None = None
    ) -> Job:
        """Return the job, at once or as ``waitMs`` asks for; see ``await_job``.

        Raises:
            InputError: The time is none, or out of range.
            NotFoundError: There is no such job, or it is another tenant's.
            QuotaExceededError: Too many of the tenant's wait already.
            Disconnected: The caller went away.
            UnauthenticatedError: What the caller showed is over, or was revoked.
            UnavailableError: The store does not answer, or this process is shutting down.
        """
        wait_ms = wait_ms_of(request)
        with self._connections.hold(caller.tenant) if wait_ms else nullcontext():
            waiting = await_job(
                self._services,
                hub=self._hub,
                caller=caller,
                job_id=request.path_params["id"],
                wait_ms=wait_ms,
                known=known,
            )
            watch = partial(self._authenticator.watch, caller)
            return await self._polls.wait(waiting, request=request, watch=watch)
