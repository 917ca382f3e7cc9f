"""Who calls, as AppSync has found out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from engine.claims import Claims
from engine.errors import UnauthenticatedError
from engine.job import JobId
from resolvers.access.bearer import MAX_SUBJECT_LENGTH, bearer_of
from resolvers.access.caller import ALL_SCOPES, Caller, Scope, scopes_of
from resolvers.access.credentials import PROVIDED_CREDENTIAL


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Whose jobs callers see who bring no tenant of their own.

    Attributes:
        tenant: Of callers by API key of AppSync, and of those whom IAM knows.
        scopes: What the former may do; the latter may do everything.
        tenant_claim: The claim of a token that names the tenant.
    """

    tenant: str
    scopes: frozenset[Scope]
    tenant_claim: str = "tenant"


def caller_of(identity: Mapping[str, Any] | None, tenancy: Tenancy) -> Caller:
    """Return the caller of an event.

    Args:
        identity: As in the event; None for an API key of AppSync, which names nobody.
        tenancy: For those who bring no tenant.

    Raises:
        UnauthenticatedError: The token names no tenant.
    """
    if identity is None:
        return Caller(subject="api-key", tenant=tenancy.tenant, scopes=tenancy.scopes)
    if "resolverContext" in identity:
        return _authorized(identity["resolverContext"])
    if "claims" in identity:
        return _bearer(identity["claims"], tenancy.tenant_claim)
    if "userArn" in identity:
        subject = str(identity["userArn"])[-MAX_SUBJECT_LENGTH:]
        return Caller(subject=subject, tenant=tenancy.tenant, scopes=ALL_SCOPES)
    raise UnauthenticatedError("the token is not valid")


def context_of(caller: Caller) -> dict[str, str]:
    """Return *caller* as the authorizer tells AppSync, which allows no more than one level."""
    context = {
        "subject": caller.subject,
        "tenant": caller.tenant,
        "scopes": " ".join(sorted(caller.scopes)),
        "credential": caller.credential,
    }
    if caller.jobs is not None:
        context["jobs"] = " ".join(sorted(caller.jobs))
    if caller.expires_at is not None:
        context["expiresAt"] = orjson.dumps(caller.expires_at).decode()
    return context


def _authorized(context: Mapping[str, str]) -> Caller:
    jobs, expires_at = context.get("jobs"), context.get("expiresAt")
    return Caller(
        subject=context["subject"],
        tenant=context["tenant"],
        scopes=scopes_of(context["scopes"].split()),
        jobs=None if jobs is None else frozenset(map(JobId, jobs.split())),
        credential=context["credential"],
        expires_at=None if expires_at is None else float(expires_at),
    )


def _bearer(claims: Mapping[str, Any], tenant_claim: str) -> Caller:
    """Return the bearer of a token that AppSync has checked."""
    subject, tenant, scope = claims.get("sub"), claims.get(tenant_claim), claims.get("scope", "")
    if isinstance(subject, str) and isinstance(tenant, str) and isinstance(scope, str):
        said = Claims(subject, tenant, frozenset(scope.split()), float(claims.get("exp", math.inf)))
        if (caller := bearer_of(said, credential=PROVIDED_CREDENTIAL)) is not None:
            return caller
    raise UnauthenticatedError(f"the token must have sub and {tenant_claim}")
