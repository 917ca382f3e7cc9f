"""What every GraphQL resolver is given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import strawberry

from resolvers.access.caller import Caller
from resolvers.access.held import HeldRequests
from resolvers.live.hub import StatusHub
from resolvers.row_budget import RowBudget
from resolvers.services import Services


@dataclass(frozen=True, slots=True)
class Context:
    """One operation's context.

    Attributes:
        services: What this process works with.
        hub: Lets callers follow jobs.
        caller: On whose behalf the operation runs.
        base_url: By which address the service was called, for addresses in answers.
        rows: How much of results it may read.
        held: Holds the operation's request open while it waits; None where it came over what is
            counted and watched itself.
    """

    services: Services
    hub: StatusHub
    caller: Caller
    base_url: str = ""
    rows: RowBudget = field(default_factory=RowBudget, compare=False)
    held: HeldRequests | None = field(default=None, compare=False)

    def afresh(self) -> Context:
        """Return the context of the same caller's next operation."""
        return replace(self, rows=RowBudget())


Info: TypeAlias = strawberry.Info[Context, None]
