"""Viewer tokens: they can only read some jobs, for a while, and are safe to hand to a browser.

A token holds what it allows and is signed with a key of the deployment that serves for nothing
else. It ends with the credential that it was made with, where that is an API key.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engine.errors import InputError, Issue, NotFoundError
from engine.job import JobId
from engine.jsonvalue import decode, encode
from engine.signing import Signer
from resolvers.access.authorize import require, require_no_viewer
from resolvers.access.caller import Caller, Scope
from resolvers.ids import job_id_from, no_such_job
from resolvers.services import Services

PREFIX: Final = "fanv_"
PURPOSE: Final = "viewer token"
MAX_JOBS: Final = 100
MAX_TTL_S: Final = 86_400
VIEWER_SCOPES: Final = frozenset({Scope.READ})
MAX_TOKEN_LENGTH: Final = 16_384


@dataclass(frozen=True, slots=True)
class ViewerToken:
    """A token as it is handed out."""

    token: str
    expires_at: datetime


async def create_viewer_token(
    services: Services, *, caller: Caller, job_ids: Sequence[str], ttl_seconds: int
) -> ViewerToken:
    """Make a token that can only read the given jobs.

    Args:
        services: What this process works with.
        caller: Who hands it out; all that the token reads they may read themselves.
        job_ids: 1 to 100 jobs.
        ttl_seconds: For how long, a day at most; not longer than the caller's own credential, if
            that is an API key.

    Raises:
        ForbiddenError: The caller may not read, or came with a viewer token.
        InputError: There are too few or too many jobs, or the time is out of range.
        NotFoundError: The caller has no such job; the first of them is told.
    """
    require(caller, Scope.READ)
    require_no_viewer(caller)
    if issues := _issues(job_ids, ttl_seconds):
        raise InputError(*issues)
    jobs = await _known_jobs(services, caller, job_ids)
    expires_s = int(time.time()) + ttl_seconds
    payload = [caller.tenant, caller.subject, jobs, expires_s, caller.credential]
    sealed = services.signer.derived(PURPOSE).seal(encode(payload))
    return ViewerToken(PREFIX + sealed, datetime.fromtimestamp(expires_s, UTC))


class ViewerTokens:
    """Reads the tokens of this deployment."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer.derived(PURPOSE)

    def read(self, token: str, *, now_s: float) -> Caller | None:
        """Return whose *token* it is; None if it is none of ours, or over.

        The caller's credential is the one that the token was made with.
        """
        if len(token) > MAX_TOKEN_LENGTH or not token.startswith(PREFIX):
            return None
        payload = self._signer.unseal(token.removeprefix(PREFIX))
        if payload is None:
            return None
        tenant, subject, jobs, expires_s, credential = decode(payload)
        if now_s >= expires_s:
            return None
        return Caller(
            subject=subject,
            tenant=tenant,
            scopes=VIEWER_SCOPES,
            jobs=frozenset(map(JobId, jobs)),
            credential=credential,
            expires_at=float(expires_s),
        )


def _issues(job_ids: Sequence[str], ttl_seconds: int) -> list[Issue]:
    issues = []
    if not 1 <= len(job_ids) <= MAX_JOBS:
        message = f"must be 1 to {MAX_JOBS} jobs, are {len(job_ids)}"
        issues.append(Issue(("input", "jobIds"), message))
    if not 1 <= ttl_seconds <= MAX_TTL_S:
        message = f"must be 1 to {MAX_TTL_S}, is {ttl_seconds}"
        issues.append(Issue(("input", "ttlSeconds"), message))
    return issues


async def _known_jobs(services: Services, caller: Caller, job_ids: Sequence[str]) -> list[JobId]:
    """Return the ids, each once, of jobs that exist for the caller."""
    known: list[JobId] = []
    for text in dict.fromkeys(job_ids):
        job = job_id_from(text)
        if job is None:
            raise NotFoundError(no_such_job(text))
        known.append(job)
    for job, found in zip(known, await services.jobs.get(caller.tenant, known), strict=True):
        if found is None:
            raise NotFoundError(no_such_job(job))
    return known
