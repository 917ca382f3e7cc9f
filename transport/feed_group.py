"""Subscribers of a tenant's jobs, equal in all that they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.errors import FanfoldError
from engine.job import JobId, JobStatus
from engine.meters import PushMeter
from resolvers.access.caller import Caller
from resolvers.live.hub import OpenFeed
from resolvers.live.inbox import Inbox
from transport.group import ErrorsOf, Subscriber, nothing
from transport.rendering import Render

MEMBERS_AT_ONCE = 500


class FeedGroup:
    """Serves the newest state of each job to its members; each state is rendered once for all.

    A member has an inbox with what it has not been sent, which is nothing while it keeps up.

    Args:
        feed: Of the tenant; held for the group.
        caller: On whose behalf; jobs that they do not see are left out.
        tag: Serve only jobs that carry it; None for all.
        interval_s: Shortest time between two states of a job.
        render: Makes a payload.
        errors_of: Makes errors that clients may see.
        meter: Hears what is sent.
    """

    def __init__(
        self,
        feed: OpenFeed,
        *,
        caller: Caller,
        tag: str | None,
        interval_s: float,
        render: Render,
        errors_of: ErrorsOf,
        meter: PushMeter,
    ) -> None:
        self._on_closed: Callable[[], None] = nothing
        self._feed = feed
        self._caller = caller
        self._tag = tag
        self._interval_s = interval_s
        self._render = render
        self._errors_of = errors_of
        self._meter = meter
        self._members: dict[_Member, None] = {}
        self._rendered: dict[JobId, tuple[int, bytes]] = {}
        self._task = asyncio.create_task(self._run(), name="feed group")

    def when_closed(self, call: Callable[[], None]) -> None:
        """Have *call* made when nobody is to join any more."""
        self._on_closed = call

    def join(self, subscriber: Subscriber) -> _Member:
        """Serve one more, with the present state of every live job first."""
        inbox = Inbox(tag=self._tag, min_interval_s=self._interval_s)
        member = _Member(self, subscriber, inbox)
        self._members[member] = None
        self._meter.subscriptions(1)
        self._feed.join(inbox)
        return member

    def leave(self, member: _Member) -> None:
        """Serve one less."""
        if member not in self._members:
            return
        del self._members[member]
        self._meter.subscriptions(-1)
        self._feed.leave(member.inbox)
        if not self._members:
            self._close()

    def serve(self, member: _Member) -> None:
        """Send what may be sent by now."""
        if member.is_paused or member not in self._members:
            return
        clock = asyncio.get_running_loop().time
        sent = skipped = 0
        try:
            for status in member.inbox.take(clock):
                if not self._caller.sees(status.id):
                    continue
                # What is refused comes again: an inbox holds the newest of each job.
                if not self._push(member, status):
                    member.is_paused = True
                    member.inbox.put_back(status)
                    break
                sent += 1
                skipped += member.inbox.note_sent(status)
        except Exception as exc:  # noqa: BLE001 - told, and logged under a reference
            member.subscriber.fail(self._errors_of(exc))
            self.leave(member)
        self._meter.sent(sent, skipped=skipped)

    def _push(self, member: _Member, status: JobStatus) -> bool:
        known = self._rendered.get(status.id)
        if known is not None and known[0] == status.version:
            return member.subscriber.push(known[1])
        with self._feed.span(status):
            payload = self._render(status)
            self._rendered[status.id] = (status.version, payload)
            return member.subscriber.push(payload)

    async def _run(self) -> None:
        try:
            while True:
                members = list(self._members)
                for number, member in enumerate(members, 1):
                    self.serve(member)
                    if number % MEMBERS_AT_ONCE == 0:
                        await asyncio.sleep(0)
                self._rendered.clear()
                await self._feed.read_or(self._ready_at())
        except FanfoldError as exc:
            for member in list(self._members):
                member.subscriber.fail(self._errors_of(exc))
                self.leave(member)

    def _ready_at(self) -> float | None:
        times = [m.inbox.ready_at() for m in self._members if not m.is_paused]
        return min((time for time in times if time is not None), default=None)

    def _close(self) -> None:
        self._task.cancel()
        self._feed.close()
        self._on_closed()


class _Member:
    """One subscriber with its inbox."""

    __slots__ = ("_group", "inbox", "is_paused", "subscriber")

    def __init__(self, group: FeedGroup, subscriber: Subscriber, inbox: Inbox) -> None:
        self._group = group
        self.subscriber = subscriber
        self.inbox = inbox
        self.is_paused = False

    def resume(self) -> None:
        """See ``Membership``."""
        self.is_paused = False
        self._group.serve(self)

    def leave(self) -> None:
        """See ``Membership``."""
        self._group.leave(self)
