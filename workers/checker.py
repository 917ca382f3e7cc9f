"""Checks queries in a task process, which is killed when a query keeps it too long."""

from __future__ import annotations

from typing import Any, Final

from engine.errors import FanfoldError, InputError, Issue, SourceError, UnavailableError
from engine.sql.checker import CheckedSql, SqlCheck
from engine.turns import Turns
from workers.task_process import AttemptFailed, AttemptLost, TaskProcess

CHECKS_WITHIN_S: Final = 10.0
MAX_WAITING: Final = 1_000


class ProcessChecker:
    """Implements ``engine.sql.checker.SqlChecker``; tenants take turns, one check at a time.

    Args:
        process: Does the checks.
        within_s: How long one may take.
        waiting: How many of one tenant may wait.
    """

    def __init__(
        self,
        process: TaskProcess,
        *,
        within_s: float = CHECKS_WITHIN_S,
        waiting: int = MAX_WAITING,
    ) -> None:
        self._process = process
        self._within_s = within_s
        self._turns = Turns("checks of queries", waiting=waiting)

    async def check(self, request: SqlCheck, *, tenant: str) -> CheckedSql:
        """Check a job; see ``SqlChecker``. Cancelling this ends the check, and its process."""
        async with self._turns.turn(tenant):
            try:
                answer = await self._process.ask(
                    {"check": request.to_json()}, within_s=self._within_s
                )
            except TimeoutError:
                limit = f"could not be checked within {self._within_s:g} s; make it simpler"
                raise InputError(Issue(("input", "sql"), limit)) from None
            except AttemptFailed as exc:
                message = "the query broke the process that checks it"
                raise UnavailableError(f"{message}: {exc.error.message}") from exc
            except AttemptLost as exc:
                raise UnavailableError("the service is shutting down") from exc
        if "checked" in answer:
            return CheckedSql(**answer["checked"])
        raise refusal_of(answer["refused"])


def refused(error: FanfoldError) -> dict[str, Any]:
    """Return what a refusal is sent as."""
    if isinstance(error, InputError):
        return {"issues": [[list(issue.path), issue.message] for issue in error.issues]}
    location = error.location if isinstance(error, SourceError) else None
    return {"code": error.code, "message": error.message, "location": location}


def refusal_of(data: dict[str, Any]) -> FanfoldError:
    """Read what ``refused`` wrote."""
    if "issues" in data:
        return InputError(*(Issue(tuple(path), message) for path, message in data["issues"]))
    if data["code"] == UnavailableError.code:
        return UnavailableError(data["message"])
    return SourceError(data["message"], location=data["location"])
