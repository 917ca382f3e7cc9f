"""Who calls, and what they may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from engine.job import JobId


class Scope(StrEnum):
    """A right of a caller; ``ADMIN`` includes the others."""

    READ = "read"
    SUBMIT = "submit"
    MANAGE = "manage"
    ADMIN = "admin"


ALL_SCOPES: Final = frozenset(Scope)


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes among *names*; others are somebody else's."""
    known = {scope.value: scope for scope in Scope}
    return frozenset(known[name] for name in names if name in known)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling.

    Attributes:
        subject: The person or program, as shown in ``submittedBy``.
        tenant: Whose jobs they see; nothing of another tenant exists for them.
        scopes: What they may do.
        jobs: The only jobs that exist for them, as for a viewer token; None for all of the tenant.
        credential: Names what they showed to prove it, for revoking it; holds no secret. "" where
            nobody is asked.
        expires_at: When that ends, in seconds since the epoch; None for never.
    """

    subject: str
    tenant: str
    scopes: frozenset[Scope] = ALL_SCOPES
    jobs: frozenset[JobId] | None = None
    credential: str = field(default="", compare=False)
    expires_at: float | None = field(default=None, compare=False)

    def has(self, scope: Scope) -> bool:
        """Return whether the caller has *scope*."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, job: JobId) -> bool:
        """Return whether *job* of their tenant exists for the caller."""
        return self.jobs is None or job in self.jobs


LOCAL_CALLER: Final = Caller(subject="local", tenant="local")
"""Everybody, where nobody is asked who they are: on loopback, with FANFOLD_AUTH off."""
