"""Subscribers of one job, equal in all that they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from engine.errors import FanfoldError
from engine.job import JobState, JobStatus
from engine.meters import PushMeter
from resolvers.live.watch import UNKNOWN, JobWatch
from transport.group import ErrorsOf, Subscriber, nothing
from transport.rendering import Render

MEMBERS_AT_ONCE: Final = 500
"""Served before others have a turn; then whatever is the newest by then goes on to the rest."""


class StatusGroup:
    """Serves the newest state of a job to its members.

    A newcomer has the job read again and is given what was found; the others get it too, when their
    interval is over. Nobody gets two states within the interval; a newcomer may wait for the second
    one up to twice as long.

    Args:
        watch: Of the job; held for the group.
        release: Gives it back.
        after_version: Serve only what is newer.
        interval_s: Shortest time between two states.
        render: Makes a payload.
        errors_of: Makes errors that clients may see.
        meter: Hears what is sent.
    """

    __slots__ = (
        "_after_version",
        "_errors_of",
        "_has_behind",
        "_interval_s",
        "_is_closed",
        "_is_over",
        "_is_waiting",
        "_loop",
        "_members",
        "_meter",
        "_on_closed",
        "_payload",
        "_release",
        "_render",
        "_rest",
        "_seen",
        "_unserved",
        "_version",
        "_watch",
    )

    def __init__(
        self,
        watch: JobWatch,
        *,
        release: Callable[[], None],
        after_version: int,
        interval_s: float,
        render: Render,
        errors_of: ErrorsOf,
        meter: PushMeter,
    ) -> None:
        self._on_closed: Callable[[], None] = nothing
        self._watch = watch
        self._release = release
        self._after_version = after_version
        self._interval_s = interval_s
        self._render = render
        self._errors_of = errors_of
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._members: dict[_Member, None] = {}
        self._version = after_version
        self._payload = b""
        self._seen = UNKNOWN
        self._is_over = False
        self._is_closed = False
        # What keeps the group busy: waiting for a newer state, sending it, resting after it.
        self._is_waiting = False
        self._unserved: list[_Member] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._has_behind = False

    def when_closed(self, call: Callable[[], None]) -> None:
        """Have *call* made when nobody is to join any more."""
        self._on_closed = call

    def join(self, subscriber: Subscriber) -> _Member:
        """Serve one more, with the present state first."""
        member = _Member(self, subscriber, self._after_version)
        self._members[member] = None
        self._meter.subscriptions(1)
        self._watch.refresh()
        self._watch.wait(member, self._after_version)
        return member

    def tell(self, status: JobStatus) -> None:
        """Take a state that is newer than the group's; see ``Waiter``."""
        self._is_waiting = False
        if not self._is_closed and self._takes(status):
            self._send()

    def fail(self, error: FanfoldError) -> None:
        """Take why there is none; see ``Waiter``."""
        self._is_waiting = False
        for member in list(self._members):
            self.turn_away(member, error)

    def welcome(self, member: _Member, status: JobStatus) -> None:
        """Give a newcomer its first state; none where it asked for a later one than the last."""
        if member not in self._members:
            return
        member.is_welcome = True
        if not self._takes(status):
            return
        if self._interval_s:
            member.ready_at = self._loop.time() + self._interval_s
        self._serve(member)
        if not (self._is_waiting or self._unserved is not None or self._rest is not None):
            self._go_on()

    def turn_away(self, member: _Member, error: Exception) -> None:
        """Tell *member* why it is not served."""
        if member in self._members:
            member.subscriber.fail(self._errors_of(error))
            self.leave(member)

    def resume(self, member: _Member) -> None:
        """Bring *member* up to date, or have it done when the interval is over."""
        if member not in self._members:
            return
        if self._rest is not None or member.ready_at > self._loop.time():
            self._has_behind = True
        else:
            self._serve(member)

    def leave(self, member: _Member) -> None:
        """Serve one less."""
        if member in self._members:
            del self._members[member]
            self._meter.subscriptions(-1)
            if not self._members:
                self._close()

    def _takes(self, status: JobStatus) -> bool:
        """Take a state; where it cannot be shown, everybody is told so and served no more."""
        try:
            self._note(status)
        except Exception as exc:  # noqa: BLE001 - told, and logged under a reference
            for member in list(self._members):
                self.turn_away(member, exc)
            return False
        return True

    def _note(self, status: JobStatus) -> None:
        if status.version > self._version:
            self._version = status.version
            self._payload = self._render(status)
            self._has_behind = True
        if status.version >= self._seen:
            self._seen = status.version
            # It ends for those who know; a newcomer may find that it was redriven meanwhile, and
            # whoever has not been told of the end follows the new run as well.
            self._is_over = status.state is not JobState.RUNNING and status.state.is_terminal
            if self._is_over:
                self._on_closed()  # who comes from now on is another group's

    def _serve(self, member: _Member) -> None:
        if member.version < self._version:
            if not member.subscriber.push(self._payload):
                return
            self._meter.sent(1, skipped=member.skips(self._version))
            member.version = self._version
        if self._is_over:
            self._end(member)

    def _end(self, member: _Member) -> None:
        member.subscriber.complete()
        self.leave(member)

    def _send(self) -> None:
        """Send the newest state to all, some at a time."""
        self._has_behind = False
        if len(self._members) <= MEMBERS_AT_ONCE:
            self._give(self._members)
            self._go_on()
        else:
            self._unserved = list(self._members)
            self._send_some()

    def _send_some(self) -> None:
        if self._is_closed or not self._unserved:
            self._unserved = None
            self._go_on()
            return
        some = self._unserved[-MEMBERS_AT_ONCE:]
        del self._unserved[-MEMBERS_AT_ONCE:]
        self._give(some)
        if self._unserved:
            self._loop.call_soon(self._send_some)
        else:
            self._unserved = None
            self._go_on()

    def _give(self, members: Collection[_Member]) -> None:
        payload, version, now = self._payload, self._version, self._loop.time()
        sent = skipped = 0
        for member in members:
            if member.version < version and member.is_welcome:
                if member.ready_at > now:
                    self._has_behind = True
                elif member.subscriber.push(payload):
                    skipped += member.skips(version)
                    member.version = version
                    sent += 1
        self._meter.sent(sent, skipped=skipped)
        if self._is_over:
            for member in list(members):
                if member.version >= version and member in self._members:
                    self._end(member)

    def _go_on(self) -> None:
        """Rest, then send what came meanwhile or wait for more."""
        if self._is_closed:
            return
        if self._interval_s:
            self._rest = self._loop.call_later(self._interval_s, self._rested)
        else:
            self._rested()

    def _rested(self) -> None:
        self._rest = None
        if self._has_behind:
            self._send()
        elif not self._is_over:
            self._is_waiting = True
            self._watch.wait(self, self._version)

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._rest is not None:
            self._rest.cancel()
        self._release()
        self._on_closed()


class _Member:
    """One subscriber, and the version that it has; waits for its first state by itself."""

    __slots__ = ("_group", "is_welcome", "ready_at", "subscriber", "version")

    def __init__(self, group: StatusGroup, subscriber: Subscriber, version: int) -> None:
        self._group = group
        self.subscriber = subscriber
        self.version = version
        self.is_welcome = False  # what was read before it came is not for it
        self.ready_at = 0.0

    def tell(self, status: JobStatus) -> None:
        """See ``Waiter``."""
        self._group.welcome(self, status)

    def fail(self, error: FanfoldError) -> None:
        """See ``Waiter``."""
        self._group.turn_away(self, error)

    def skips(self, version: int) -> int:
        """Return how many versions it does not get when it gets *version* next."""
        return 0 if self.version == UNKNOWN else version - self.version - 1

    def resume(self) -> None:
        """See ``Membership``."""
        self._group.resume(self)

    def leave(self) -> None:
        """See ``Membership``."""
        self._group.leave(self)
