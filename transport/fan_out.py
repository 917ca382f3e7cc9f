"""Equal subscriptions served once: one source, one execution and one payload for all of them.

Subscriptions are equal when document, operation, variables and the caller's rights are. Those form
a group; a subscriber costs an entry in it, no task, queue or generator. Each gets the present state
first and then only newer ones, whenever it joins; one that takes nothing for a while gets the
newest when it is ready again, so what it costs is shared with all the others.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

from engine.errors import FanfoldError
from engine.meters import UNMEASURED, PushMeter
from resolvers.live.hub import StatusHub, interval_s
from resolvers.live.watch import UNKNOWN
from schema.context import Context
from transport.feed_group import FeedGroup
from transport.group import Group, Membership, Subscriber
from transport.operations import Operation, RequestError
from transport.rendering import Asked, Projections
from transport.status_group import StatusGroup

JOB_INTERVAL_MS = 100
FEED_INTERVAL_MS = 500


class FanOut:
    """All subscriptions of a process.

    Args:
        hub: Where states come from.
        meter: Hears what is sent.
    """

    def __init__(self, hub: StatusHub, *, meter: PushMeter = UNMEASURED) -> None:
        self._hub = hub
        self._meter = meter
        self._projections = Projections()
        self._groups: dict[Hashable, Group] = {}

    @property
    def groups(self) -> int:
        """How many different subscriptions are served."""
        return len(self._groups)

    def join(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None,
        context: Context,
        subscriber: Subscriber,
    ) -> Membership:
        """Serve *subscriber* until it leaves or its subscription ends; nothing is sent in here.

        Args:
            operation: A subscription that was prepared.
            variables: As given.
            context: On whose behalf.
            subscriber: Who is served.

        Raises:
            RequestError: The variables do not fit, or the caller may not follow this.
        """
        asked = Asked(operation, variables, context)
        caller = context.caller
        rights = (caller.tenant, caller.jobs, caller.scopes)
        # An operation is one object for all that ask for the same.
        key = (operation, asked.variables, rights)
        group = self._groups.get(key)
        if group is None:
            try:
                group = self._group(asked, context)
            except FanfoldError as exc:
                raise RequestError(asked.errors_of(exc)) from None
            self._groups[key] = group
            group.when_closed(partial(self._forget, key, group))
        return group.join(subscriber)

    def _group(self, asked: Asked, context: Context) -> Group:
        given = asked.arguments
        render = asked.renderer(self._projections)
        interval_ms = given.get("minIntervalMs")
        if asked.field == "jobFeed":
            return FeedGroup(
                self._hub.open_feed(context.caller),
                caller=context.caller,
                tag=given.get("tag"),
                interval_s=interval_s(FEED_INTERVAL_MS if interval_ms is None else interval_ms),
                render=render,
                errors_of=asked.errors_of,
                meter=self._meter,
            )
        every_s = interval_s(JOB_INTERVAL_MS if interval_ms is None else interval_ms)
        after = given.get("afterVersion")
        watch = self._hub.watch(context.caller, given["id"])
        return StatusGroup(
            watch,
            release=lambda: self._hub.unwatch(watch),
            after_version=UNKNOWN if after is None else after,
            interval_s=every_s,
            render=render,
            errors_of=asked.errors_of,
            meter=self._meter,
        )

    def _forget(self, key: Hashable, group: Group) -> None:
        if self._groups.get(key) is group:
            del self._groups[key]
