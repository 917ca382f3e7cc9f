"""What every GraphQL resolver is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from resolvers.access.caller import Caller
from resolvers.live.hub import StatusHub
from resolvers.services import Services


@dataclass(frozen=True, slots=True)
class Context:
    """One operation's context.

    Attributes:
        services: What this process works with.
        hub: Lets callers follow jobs.
        caller: On whose behalf the operation runs.
        base_url: By which address the service was called, for addresses in answers.
    """

    services: Services
    hub: StatusHub
    caller: Caller
    base_url: str = ""


Info: TypeAlias = strawberry.Info[Context, None]
