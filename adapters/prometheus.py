"""Meters that Prometheus reads, and the text that it reads.

A process keeps its figures in a registry of its own. Several processes of one machine answer as
one: each tells its ``Figures`` as JSON, and ``exposition`` puts them side by side under a label
``process``. That keeps what each has counted apart, so one that starts anew is an ordinary reset,
and needs no files that outlive their process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any, Final, Protocol, TypeAlias

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

PROCESS: Final = "process"
Families: TypeAlias = Iterable[Metric]

_MS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TASK_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class LedgerClock(Protocol):
    """Tells the time of the ledger."""

    def now_s(self) -> float | None:
        """Return seconds since 1970; None as long as nobody knows."""
        ...


class ApiFigures:
    """What an API process measures: implements ``ApiMeter``.

    Args:
        registry: Where it is kept; empty before.
        clock: Of what ``updated_at`` of a state comes from.
    """

    def __init__(self, registry: CollectorRegistry, clock: LedgerClock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str, int], Histogram] = {}
        self._sockets = Gauge("fanfold_websockets", "Open WebSockets.", registry=registry)
        self._streams = Gauge("fanfold_event_streams", "Open event streams.", registry=registry)
        self._subscriptions = Gauge(
            "fanfold_subscriptions", "Live subscriptions, over whatever.", registry=registry
        )
        self._sent = Counter(
            "fanfold_states_sent", "States that went to followers.", registry=registry
        )
        self._skipped = Counter(
            "fanfold_states_skipped",
            "States that a follower did not get, because a newer one was there first.",
            registry=registry,
        )
        self._lag = Histogram(
            "fanfold_doorbell_lag_seconds",
            "From the commit of a state to its read by this process, when the bell had rung.",
            buckets=_MS,
            registry=registry,
        )
        self._requests = Histogram(
            "fanfold_http_request_duration_seconds",
            "From the head of a request to the end of its answer; streams not included.",
            ["method", "route", "status"],
            buckets=_MS,
            registry=registry,
        )

        self._admissions = Counter(
            "fanfold_connections_admitted",
            "WebSockets and event streams that came, by how they were let in.",
            ["how"],
            registry=registry,
        )
        self._admissions_of = cache(self._admissions.labels)
        for how in ("at once", "delayed", "refused"):
            self._admissions_of(how)

    def sockets(self, change: int) -> None:
        """See ``PushMeter``."""
        self._sockets.inc(change)

    def streams(self, change: int) -> None:
        """See ``PushMeter``."""
        self._streams.inc(change)

    def subscriptions(self, change: int) -> None:
        """See ``PushMeter``."""
        self._subscriptions.inc(change)

    def sent(self, states: int, *, skipped: int = 0) -> None:
        """See ``PushMeter``."""
        self._sent.inc(states)
        if skipped:
            self._skipped.inc(skipped)

    def read(self, updated_at: datetime) -> None:
        """See ``PushMeter``."""
        now_s = self._clock.now_s()
        if now_s is not None:
            self._lag.observe(max(0.0, now_s - updated_at.timestamp()))

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """See ``HttpMeter``."""
        key = (method if method in _METHODS else "other", route, status)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._requests.labels(*key)
        known.observe(seconds)

    def admitted(self, how: str) -> None:
        """See ``AdmissionMeter``."""
        self._admissions_of(how).inc()


class WorkerFigures:
    """What a worker measures: implements ``TaskMeter``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Histogram(
            "fanfold_task_duration_seconds",
            "From the claim of an attempt to its end.",
            ["kind", "outcome"],
            buckets=_TASK_S,
            registry=registry,
        )
        self._steps = Histogram(
            "fanfold_ledger_duration_seconds",
            "How long the ledger took for a step of an attempt.",
            ["step", "outcome"],
            buckets=_MS,
            registry=registry,
        )
        # What a metric has for its labels takes longer to be found than to be written.
        self._attempts_of = cache(self._attempts.labels)
        self._steps_of = cache(self._steps.labels)
        self._retries = Counter(
            "fanfold_task_retries", "Later attempts that were begun.", ["kind"], registry=registry
        )
        self._fenced = Counter(
            "fanfold_fenced_commits",
            "Attempts that ended too late: another had taken over, or the job had ended.",
            registry=registry,
        )

    def ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """See ``TaskMeter``."""
        self._attempts_of(kind, outcome).observe(seconds)
        if outcome == "fenced":
            self._fenced.inc()

    def asked(self, step: str, *, seconds: float, is_answered: bool = True) -> None:
        """See ``TaskMeter``."""
        self._steps_of(step, "ok" if is_answered else "unavailable").observe(seconds)

    def retried(self, *, kind: str) -> None:
        """See ``TaskMeter``."""
        self._retries.labels(kind).inc()


class RuntimeFigures:
    """What every process measures: the way to Redis, its event loop, memory and processor."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        self._round_trip = Histogram(
            "fanfold_redis_round_trip_seconds",
            "How long Redis takes to answer a command that costs nothing, as this process sees it.",
            buckets=(0.0001, 0.00025, 0.0005, *_MS),
            registry=registry,
        )
        self._loop_lag = Histogram(
            "fanfold_event_loop_lag_seconds",
            "How much later than asked for the event loop woke up.",
            buckets=_MS,
            registry=registry,
        )

    def round_trip(self, seconds: float) -> None:
        """Note how long Redis took."""
        self._round_trip.observe(seconds)

    def woke_late(self, seconds: float) -> None:
        """Note how late the event loop was."""
        self._loop_lag.observe(seconds)


def figures_of(registry: CollectorRegistry) -> bytes:
    """Return all that *registry* holds, for ``families_of`` in another process."""
    return orjson.dumps(
        [
            (
                family.name,
                family.documentation,
                family.type,
                [
                    (sample.name, sample.labels, sample.value)
                    for sample in family.samples
                    if not sample.name.endswith("_created")
                ],
            )
            for family in registry.collect()
        ]
    )


def families_of(figures: bytes, *, process: str) -> Iterator[Metric]:
    """Read what ``figures_of`` wrote; every sample gets the label ``process``.

    Raises:
        ValueError: It is something else.
    """
    for name, documentation, kind, samples in orjson.loads(figures):
        family = Metric(name, documentation, kind)
        family.samples = [
            Sample(sample, {PROCESS: process, **labels}, _number(value))
            for sample, labels, value in samples
        ]
        yield family


def exposition(families: Families, *, accept: str = "") -> tuple[bytes, str]:
    """Return *families* as Prometheus reads them, and the media type.

    Args:
        families: Those of one name become one.
        accept: The header of the request.
    """
    merged: dict[str, Metric] = {}
    for family in families:
        known = merged.setdefault(family.name, family)
        if known is not family:
            known.samples = list(chain(known.samples, family.samples))
    encode, media_type = choose_encoder(accept)
    families_in_order: Any = _Families([merged[name] for name in sorted(merged)])
    return encode(families_in_order), media_type


class _Families:
    """What an encoder needs of a registry."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
