"""What this deployment offers."""

from __future__ import annotations

from typing import Self

import strawberry

from resolvers.services import Limits
from schema.enums import Runner


@strawberry.type
class ServiceInfo:
    """GraphQL ``ServiceInfo``."""

    version: str
    inline_result_bytes: int
    max_wait_ms: int
    sql_enabled: bool
    runners: list[Runner]

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """Describe the deployment that has these limits."""
        return cls(
            version=limits.version,
            inline_result_bytes=limits.inline_result_bytes,
            max_wait_ms=limits.max_wait_ms,
            sql_enabled=limits.sql_enabled,
            runners=list(limits.runners),
        )
