"""The programs that callers may name."""

from __future__ import annotations

from collections.abc import Sequence

from engine.program import Registered
from resolvers.access.authorize import require
from resolvers.access.caller import Caller, Scope
from resolvers.services import Services


def list_programs(services: Services, *, caller: Caller) -> Sequence[Registered]:
    """Return all programs, by name.

    Raises:
        ForbiddenError: The caller may not read.
    """
    require(caller, Scope.READ)
    return list(services.catalog)


def get_program(services: Services, *, caller: Caller, name: str) -> Registered | None:
    """Return a program; None if there is none of that name.

    Raises:
        ForbiddenError: The caller may not read.
    """
    require(caller, Scope.READ)
    return services.catalog.get(name)
