"""The port to whatever checks a query before its job is accepted.

A hostile query can keep a parser or planner busy for ever, so it is looked at in a process that can
be killed, never in the one that answers callers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class SqlCheck:
    """What is to be checked.

    Attributes:
        spec: The submitted job, as ``JobSpec.to_json`` gives it, with inline items.
        resolved_source: The blob that an upload or another job stands for; None otherwise.
    """

    spec: dict[str, Any]
    resolved_source: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``SqlCheck(**data)`` reads."""
        return {"spec": self.spec, "resolved_source": self.resolved_source}


@dataclass(frozen=True, slots=True)
class CheckedSql:
    """A query without a problem.

    Attributes:
        job: ``SqlJob.to_json()``: the steps, and the shape of the source.
        is_map_only: Whether there is no reduce.
        has_one_reducer: Whether all rows must meet in one reduce task.
        supports_partial: Whether the answer over some batches means something.
    """

    job: dict[str, Any]
    is_map_only: bool
    has_one_reducer: bool
    supports_partial: bool

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``CheckedSql(**data)`` reads."""
        return asdict(self)


class SqlChecker(Protocol):
    """Checks queries."""

    async def check(self, request: SqlCheck, *, tenant: str) -> CheckedSql:
        """Look at the source, bind the query to its columns, and split it.

        Args:
            request: What is to be checked.
            tenant: Whose it is; tenants take turns.

        Raises:
            QuotaExceededError: Too many checks of the tenant wait already.
            InputError: The query or its parameters are wrong; positions are in the message.
            SourceError: The source cannot be read.
            UnavailableError: Nothing can be checked at the moment.
        """
        ...
