"""Who is calling."""

from __future__ import annotations

from typing import Self

import strawberry

from resolvers.access.caller import Caller, Scope
from resolvers.webhooks import webhook_secret_of
from schema.context import Info


def _webhook_secret(info: Info) -> str | None:
    return webhook_secret_of(info.context.services, caller=info.context.caller)


@strawberry.type
class Viewer:
    """GraphQL ``Viewer``."""

    subject: str
    tenant: str
    scopes: list[str]
    webhook_secret: str | None = strawberry.field(
        resolver=_webhook_secret,
        description=(
            "What the tenant's webhooks are signed with; null without the scope manage. Keep it"
            " secret."
        ),
    )

    @classmethod
    def of(cls, caller: Caller) -> Self:
        """Describe the caller; whoever may do everything has every scope named."""
        return cls(
            subject=caller.subject,
            tenant=caller.tenant,
            scopes=[scope.value for scope in Scope if caller.has(scope)],
        )
