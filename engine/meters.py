"""The ports to what is measured while the service runs.

Whoever does the work tells what happened; what becomes of it is an adapter's. Every call is cheap,
does not block and never raises.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol


class PushMeter(Protocol):
    """Hears what a process does for those who follow jobs."""

    def sockets(self, change: int) -> None:
        """Note that as many more WebSockets are open; fewer when negative."""
        ...

    def streams(self, change: int) -> None:
        """Note that as many more event streams are open; fewer when negative."""
        ...

    def subscriptions(self, change: int) -> None:
        """Note that as many more subscriptions are live, over whatever; fewer when negative."""
        ...

    def sent(self, states: int, *, skipped: int = 0) -> None:
        """Note states that went to followers.

        Args:
            states: Sent, one for each follower that got it.
            skipped: Left out meanwhile, because a newer one came before a follower took them.
        """
        ...

    def read(self, updated_at: datetime) -> None:
        """Note that a state was read because the bell had rung.

        Not to be called for the first read of a job, which may have changed long ago.

        Args:
            updated_at: When the state was committed, by the ledger's clock.
        """
        ...


class HttpMeter(Protocol):
    """Hears of requests that were answered."""

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Note one answer.

        Args:
            method: Such as ``POST``.
            route: The path's pattern, never the path itself.
            status: Of HTTP.
            seconds: From the request's head to the end of the answer.
        """
        ...


class AdmissionMeter(Protocol):
    """Hears how those who connect are let in."""

    def admitted(self, how: str) -> None:
        """Note one that came: ``at once``, ``delayed`` or ``refused``."""
        ...


class ApiMeter(PushMeter, HttpMeter, AdmissionMeter, Protocol):
    """Hears of everything that a process of the API does."""


class TaskMeter(Protocol):
    """Hears what a worker does."""

    def ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Note the end of an attempt.

        Args:
            kind: Of the task: ``plan``, ``map``, ``reduce``, ``finish`` or ``partial``.
            outcome: ``succeeded``, ``failed``, ``fenced`` or ``released``.
            seconds: From its claim on.
        """
        ...

    def asked(self, step: str, *, seconds: float, is_answered: bool = True) -> None:
        """Note how long the ledger took for a step, such as ``claim`` or ``commit``."""
        ...

    def retried(self, *, kind: str) -> None:
        """Note that a later attempt of a task was claimed."""
        ...


class Unmeasured:
    """Every meter, for where nobody measures."""

    def sockets(self, change: int) -> None:
        """See ``PushMeter``."""

    def streams(self, change: int) -> None:
        """See ``PushMeter``."""

    def subscriptions(self, change: int) -> None:
        """See ``PushMeter``."""

    def sent(self, states: int, *, skipped: int = 0) -> None:
        """See ``PushMeter``."""

    def read(self, updated_at: datetime) -> None:
        """See ``PushMeter``."""

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """See ``HttpMeter``."""

    def admitted(self, how: str) -> None:
        """See ``AdmissionMeter``."""

    def ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """See ``TaskMeter``."""

    def asked(self, step: str, *, seconds: float, is_answered: bool = True) -> None:
        """See ``TaskMeter``."""

    def retried(self, *, kind: str) -> None:
        """See ``TaskMeter``."""


UNMEASURED: Final = Unmeasured()
