"""What Redis can tell of the whole deployment: queues, jobs, tasks, workers, leases.

Read when somebody asks, in few round trips that cost no more however much there is: of more jobs
than ``JOBS_LOOKED_AT`` a sample is looked at, and counts by state are estimated from it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from redis.asyncio import Redis

from adapters.redis.client import reply, translated
from adapters.redis.ledger import FORGOTTEN_AFTER_MS
from engine.errors import UnavailableError
from engine.job import JobState, TaskKind
from engine.jsonvalue import decode

LANES: Final = ("process", "loop")
JOBS_LOOKED_AT: Final = 500
ENTRIES_LOOKED_AT: Final = 100
JOBS_AT_ONCE: Final = 50
"""So that nothing else of the process waits for more than some milliseconds."""
PROBE_EVERY_S: Final = 5.0

_KINDS: Final = tuple(kind.value.lower() for kind in TaskKind)
_COUNTS: Final = ("total", "running", "succeeded", "failed")
_KNOWN: Final = "map_known"
"""How many map tasks there are while a plan still finds more."""
_FIELDS: Final = ("state", _KNOWN, *(f"{kind}_{count}" for kind in _KINDS for count in _COUNTS))
_STATES: Final = ("QUEUED", "RUNNING", "CANCELLING")


async def read_redis_metrics(redis: Redis) -> list[Metric]:
    """Return what Redis knows.

    Raises:
        UnavailableError: Redis does not answer.
    """
    with translated():
        seconds, micros = await reply(redis.time())
        now_ms = 1000 * int(seconds) + int(micros) // 1000
        async with redis.pipeline(transaction=False) as pipe:
            for lane in LANES:
                queue = f"fanfold:queue:{lane}"
                pipe.zcount(queue, "-inf", now_ms)
                pipe.zcount(queue, f"({now_ms}", "+inf")
                pipe.zrangebyscore(queue, "-inf", now_ms, start=0, num=ENTRIES_LOOKED_AT)
                pipe.hlen(f"{queue}:turns")
                pipe.hrandfield(f"{queue}:turns", JOBS_LOOKED_AT)
            pipe.zcard("fanfold:leases")
            pipe.zcount("fanfold:workers", now_ms - FORGOTTEN_AFTER_MS, "+inf")
            pipe.get("fanfold:kept_bytes")
            pipe.scard("fanfold:ended")
            pipe.zcard("fanfold:expiry")
            pipe.hgetall("fanfold:totals")
            *found, totals = await pipe.execute()
        lanes = [found[5 * at : 5 * at + 5] for at in range(len(LANES))]
        jobs = sorted({job for lane in lanes for job in lane[4] or ()})
        entries = [lane[2] for lane in lanes]
        ages_s, counts = await _read_on(redis, entries, jobs, now_ms=now_ms)
    sampled = sum(len(lane[4] or ()) for lane in lanes)
    share = sum(lane[3] for lane in lanes) / sampled if sampled else 1.0
    return [
        *_queues(lanes, ages_s),
        *_jobs(counts, share),
        *_totals(totals),
        *_numbers(found[5 * len(LANES) :]),
    ]


async def _read_on(
    redis: Redis, entries: Sequence[Sequence[bytes]], jobs: Sequence[bytes], *, now_ms: int
) -> tuple[list[float], list[list[bytes | None]]]:
    """Return the age of the oldest of some entries of each lane, and the counts of some jobs."""
    ages_s = [
        _age_s(await redis.mget([b"arq:job:" + name for name in ids]) if ids else (), now_ms=now_ms)
        for ids in entries
    ]
    counts: list[list[bytes | None]] = []
    for first in range(0, len(jobs), JOBS_AT_ONCE):
        async with redis.pipeline(transaction=False) as pipe:
            for job in jobs[first : first + JOBS_AT_ONCE]:
                pipe.hmget(f"fanfold:job:{job.decode()}", list(_FIELDS))
            counts += await pipe.execute()
    return ages_s, counts


def _age_s(payloads: Iterable[bytes | None], *, now_ms: int) -> float:
    since = [decode(payload)["et"] for payload in payloads if payload is not None]
    return max(0.0, (now_ms - min(since)) / 1000) if since else 0.0


def _queues(lanes: Sequence[Sequence[Any]], ages_s: Sequence[float]) -> list[Metric]:
    depth = GaugeMetricFamily(
        "fanfold_queue_depth", "Dispatched tasks that wait for a worker.", labels=["lane"]
    )
    delayed = GaugeMetricFamily(
        "fanfold_queue_delayed",
        "Dispatched tasks that are due later: they wait for a retry, or for a claim under way.",
        labels=["lane"],
    )
    age = GaugeMetricFamily(
        "fanfold_queue_oldest_age_seconds",
        f"How long the oldest of the next {ENTRIES_LOOKED_AT} tasks has been waiting.",
        labels=["lane"],
    )
    for name, lane, age_s in zip(LANES, lanes, ages_s, strict=True):
        depth.add_metric([name], lane[0])
        delayed.add_metric([name], lane[1])
        age.add_metric([name], age_s)
    return [depth, delayed, age]


def _jobs(counts: Sequence[Sequence[bytes | None]], share: float) -> list[Metric]:
    jobs = GaugeMetricFamily(
        "fanfold_jobs", f"Live jobs; estimated beyond {JOBS_LOOKED_AT}.", labels=["state"]
    )
    tasks = GaugeMetricFamily(
        "fanfold_tasks",
        f"Tasks of live jobs; estimated beyond {JOBS_LOOKED_AT} jobs.",
        labels=["kind", "state"],
    )
    states: Counter[str] = Counter()
    by_kind: Counter[tuple[str, str]] = Counter()
    for state, *numbers in counts:
        if state is None:
            continue  # it has ended in between
        states[state.decode()] += 1
        known = dict(zip(_FIELDS[1:], (int(number or 0) for number in numbers), strict=True))
        known["map_total"] = max(known["map_total"], known[_KNOWN])
        for kind in _KINDS:
            total, *others = (known[f"{kind}_{count}"] for count in _COUNTS)
            by_kind[kind, "waiting"] += max(0, total - sum(others))
            for name, number in zip(_COUNTS[1:], others, strict=True):
                by_kind[kind, name] += number
    for state_name in _STATES:
        jobs.add_metric([state_name.lower()], round(states[state_name] * share))
    for (kind, state_name), number in sorted(by_kind.items()):
        tasks.add_metric([kind, state_name], round(number * share))
    return [jobs, tasks]


def _totals(totals: Mapping[bytes, bytes]) -> list[Metric]:
    accepted = CounterMetricFamily(
        "fanfold_jobs_accepted", "Jobs accepted.", value=int(totals.get(b"accepted", 0))
    )
    ended = CounterMetricFamily(
        "fanfold_runs_ended", "Runs that ended, by the state that they left.", labels=["state"]
    )
    for state in JobState:
        if state.is_terminal:
            ended.add_metric([state.lower()], int(totals.get(state.encode(), 0)))
    return [accepted, ended]


def _numbers(found: Sequence[Any]) -> list[Metric]:
    leases, workers, kept, ended, expiring = (int(number or 0) for number in found)
    return [
        GaugeMetricFamily("fanfold_leases", "Attempts under way, by their leases.", leases),
        GaugeMetricFamily("fanfold_workers", "Workers that are alive.", workers),
        GaugeMetricFamily("fanfold_kept_bytes", "Task outputs that are kept in Redis.", kept),
        GaugeMetricFamily("fanfold_jobs_to_clean", "Ended jobs with temporary data.", ended),
        GaugeMetricFamily("fanfold_jobs_kept", "Ended jobs until they expire.", expiring),
    ]


class Noted(Protocol):
    """Hears what a probe finds."""

    def round_trip(self, seconds: float) -> None:
        """Note how long Redis took."""
        ...

    def woke_late(self, seconds: float) -> None:
        """Note how late the event loop was."""
        ...


class RedisClock:
    """The clock of Redis as seen from here, and how far away it is.

    Implements ``adapters.prometheus.LedgerClock``. Right to half a round trip.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ahead_s: float | None = None

    def now_s(self) -> float | None:
        """Return the time by Redis' clock; None before the first probe was answered."""
        return None if self._ahead_s is None else time.monotonic() + self._ahead_s

    async def probe(self) -> float:
        """Ask Redis for its time and return how many seconds the answer took.

        Raises:
            UnavailableError: There was none.
        """
        asked = time.monotonic()
        with translated():
            seconds, micros = await reply(self._redis.time())
        took_s = time.monotonic() - asked
        self._ahead_s = int(seconds) + int(micros) / 1e6 - (asked + took_s / 2)
        return took_s

    async def keep(self, noted: Noted) -> None:
        """Probe every few seconds, until cancelled."""
        while True:
            try:
                noted.round_trip(await self.probe())
            except UnavailableError:
                self._ahead_s = None  # readiness tells
            wanted = time.monotonic() + PROBE_EVERY_S
            await asyncio.sleep(PROBE_EVERY_S)
            noted.woke_late(max(0.0, time.monotonic() - wanted))
