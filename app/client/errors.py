"""The one error of a client, and the exit status that every end of a command has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SUCCEEDED: Final = 0
FAILED: Final = 1
PARTIAL: Final = 2
REFUSED: Final = 3
UNREACHABLE: Final = 4

_OF_STATE: Final = {"SUCCEEDED": SUCCEEDED, "PARTIALLY_SUCCEEDED": PARTIAL}
_TERMINAL: Final = frozenset({*_OF_STATE, "FAILED", "CANCELLED", "TIMED_OUT"})
_FAULTS_OF_THE_SERVICE: Final = frozenset({"UNREACHABLE", "UNAVAILABLE", "INTERNAL"})


class ServiceError(Exception):
    """The service refused a request, has no answer, or cannot be reached.

    Attributes:
        lines: What to tell a person, one problem a line, with what to do next.
        code: The service's stable code, or UNREACHABLE.
    """

    def __init__(self, *lines: str, code: str) -> None:
        super().__init__("\n".join(lines))
        self.lines: Sequence[str] = lines
        self.code = code

    @property
    def exit_status(self) -> int:
        """UNREACHABLE when asking again later may help, REFUSED when the request is at fault."""
        return UNREACHABLE if self.code in _FAULTS_OF_THE_SERVICE else REFUSED


def has_ended(state: str) -> bool:
    """Tell whether a job in *state* changes no more."""
    return state in _TERMINAL


def exit_status_of(state: str) -> int:
    """Return the exit status for a job that ended in *state*: FAILED unless it left a result."""
    return _OF_STATE.get(state, FAILED)
