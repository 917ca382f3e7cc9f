"""What is measured, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parsed_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parsed
from redis.asyncio import Redis

from adapters.prometheus import (
    ApiFigures,
    RuntimeFigures,
    WorkerFigures,
    exposition,
    families_of,
    figures_of,
)
from adapters.redis.client import connect, reply
from adapters.redis.metrics import JOBS_LOOKED_AT, RedisClock, read_redis_metrics
from app.telemetry.siblings import Siblings
from engine.errors import UnavailableError
from engine.tracer import UNTRACED
from tests.support.house import RedisHouse, house_over
from tests.support.jobs import BROKEN, claim_of, files_job, inline_job, outcome_of
from workers.metered import MeteredLedger

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
Values = dict[tuple[str, ...], float]


@pytest.fixture
async def house(redis: Redis) -> RedisHouse:
    return house_over(redis)


class StoppedClock:
    """A clock that shows one time."""

    def __init__(self, now: datetime | None) -> None:
        self._now = now

    def now_s(self) -> float | None:
        return None if self._now is None else self._now.timestamp()


async def test_an_empty_redis_has_nothing_waiting(redis: Redis) -> None:
    values = values_of(await read_redis_metrics(redis))

    assert values["fanfold_queue_depth", "process"] == 0
    assert values["fanfold_queue_oldest_age_seconds", "process"] == 0
    assert values["fanfold_jobs", "running"] == 0
    assert values["fanfold_leases",] == values["fanfold_workers",] == 0


async def test_redis_tells_of_jobs_tasks_queues_and_leases(redis: Redis, house: RedisHouse) -> None:
    running, waiting = inline_job(batches=3), files_job()
    await house.jobs.accept(running)
    await house.jobs.accept(waiting)
    await house.leases.enter("w1")
    await house.do(claim_of(running.id, "map-0"))
    await house.take(claim_of(running.id, "map-1"))

    values = values_of(await read_redis_metrics(redis))

    assert values["fanfold_queue_depth", "process"] == 2  # a map task, a plan
    assert values["fanfold_queue_depth", "loop"] == 0
    assert 0 <= values["fanfold_queue_oldest_age_seconds", "process"] < 60
    assert values["fanfold_jobs", "running"] == values["fanfold_jobs", "queued"] == 1
    assert values["fanfold_tasks", "map", "succeeded"] == 1
    assert values["fanfold_tasks", "map", "running"] == 1
    assert values["fanfold_tasks", "map", "waiting"] == 1
    assert values["fanfold_tasks", "plan", "waiting"] == 1
    assert values["fanfold_leases",] == values["fanfold_workers",] == 1


async def test_jobs_that_have_ended_are_kept_and_not_live(redis: Redis, house: RedisHouse) -> None:
    await house.run_to_the_end(inline_job())

    values = values_of(await read_redis_metrics(redis))

    assert sum(value for (name, *_), value in values.items() if name == "fanfold_jobs") == 0
    assert values["fanfold_jobs_kept",] == values["fanfold_jobs_to_clean",] == 1


async def test_the_age_of_a_queue_is_that_of_its_oldest_task(
    redis: Redis, house: RedisHouse
) -> None:
    job = inline_job(batches=2)
    await house.jobs.accept(job)
    [first, _] = await redis.zrange("fanfold:queue:process", 0, -1)
    payload = await redis.get(b"arq:job:" + first)
    assert payload is not None
    old = re.sub(rb'"et":(\d+)', lambda at: b'"et":%d' % (int(at[1]) - 90_000), payload)
    await redis.set(b"arq:job:" + first, old)

    values = values_of(await read_redis_metrics(redis))

    assert 90 <= values["fanfold_queue_oldest_age_seconds", "process"] < 150


async def test_of_many_jobs_the_states_are_estimated(redis: Redis, house: RedisHouse) -> None:
    job = inline_job(batches=1)
    await house.jobs.accept(job)
    # The same job under many names: all that is looked at are names and hashes.
    fields = await reply(redis.hgetall(f"fanfold:job:{job.id}"))
    async with redis.pipeline(transaction=False) as pipe:
        for number in range(2 * JOBS_LOOKED_AT - 1):
            pipe.hset("fanfold:queue:process:turns", f"copy-{number}", "1")
            pipe.hset(f"fanfold:job:copy-{number}", mapping=fields)
        await pipe.execute()

    values = values_of(await read_redis_metrics(redis))

    assert values["fanfold_jobs", "queued"] == 2 * JOBS_LOOKED_AT


async def test_a_redis_that_is_away_is_an_error(tmp_path: Path) -> None:
    redis = connect(f"unix://{tmp_path}/nobody")

    with pytest.raises(UnavailableError):
        await read_redis_metrics(redis)
    with pytest.raises(UnavailableError):
        await RedisClock(redis).probe()

    await redis.aclose()


async def test_a_clock_shows_the_time_of_redis(redis: Redis) -> None:
    clock = RedisClock(redis)
    assert clock.now_s() is None

    await clock.probe()
    seconds, micros = await reply(redis.time())
    now_s = clock.now_s()

    assert now_s is not None
    assert abs(now_s - (int(seconds) + int(micros) / 1e6)) < 5


def test_the_lag_of_the_doorbell_is_measured_by_the_ledgers_clock() -> None:
    registry, now = CollectorRegistry(), datetime(2031, 5, 1, tzinfo=UTC)
    figures = ApiFigures(registry, StoppedClock(now))

    figures.read(now - timedelta(seconds=0.25))
    figures.read(now + timedelta(seconds=1))  # clocks differ by half a round trip

    assert registry.get_sample_value("fanfold_doorbell_lag_seconds_sum") == 0.25
    assert registry.get_sample_value("fanfold_doorbell_lag_seconds_count") == 2


def test_without_the_ledgers_clock_no_lag_is_measured() -> None:
    registry = CollectorRegistry()

    ApiFigures(registry, StoppedClock(None)).read(datetime.now(UTC))

    assert registry.get_sample_value("fanfold_doorbell_lag_seconds_count") == 0


def test_an_unknown_method_makes_no_series_of_its_own() -> None:
    registry = CollectorRegistry()
    figures = ApiFigures(registry, StoppedClock(None))

    for method in ("BREW", "COOK"):
        figures.answered(method=method, route="other", status=405, seconds=0.1)

    labels = {"method": "other", "route": "other", "status": "405"}
    name = "fanfold_http_request_duration_seconds_count"
    assert registry.get_sample_value(name, labels) == 2


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_processes_are_shown_side_by_side(accept: str) -> None:
    told = {}
    for process, states in (("api-1", 3), ("api-2", 4)):
        registry = CollectorRegistry()
        RuntimeFigures(registry).round_trip(0.001)
        ApiFigures(registry, StoppedClock(None)).sent(states)
        told[process] = figures_of(registry)

    text, media_type = exposition(
        [family for name in told for family in families_of(told[name], process=name)],
        accept=accept,
    )

    read = parsed_openmetrics if "openmetrics" in media_type else parsed
    values = values_of(read(text.decode()))
    assert values["fanfold_states_sent_total", "api-1"] == 3
    assert values["fanfold_states_sent_total", "api-2"] == 4
    assert text.decode().count("# TYPE fanfold_states_sent") == 1


def test_every_name_follows_the_conventions() -> None:
    registry = CollectorRegistry()
    ApiFigures(registry, StoppedClock(None))
    WorkerFigures(registry)
    RuntimeFigures(registry)

    for family in registry.collect():
        assert re.fullmatch(r"(fanfold|process)_[a-z_]+", family.name)
        assert family.documentation
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


@pytest.mark.parametrize("path", ["docs/OPERATING.md", "deploy/grafana/fanfold.json"])
async def test_what_is_documented_is_measured(redis: Redis, path: str) -> None:
    registry = CollectorRegistry()
    ApiFigures(registry, StoppedClock(None))
    WorkerFigures(registry)
    RuntimeFigures(registry)
    families = [*registry.collect(), *await read_redis_metrics(redis)]
    known = {family.name for family in families} | {"fanfold_redis_up"}

    told = set(re.findall(r"\bfanfold_[a-z_]+[a-z]", (ROOT / path).read_text()))

    assert {re.sub("_(total|bucket|count|sum)$", "", name) for name in told} <= known
    if path.endswith(".md"):
        named = {re.sub("_total$", "", name) for name in told}
        assert {name for name in known if name.startswith("fanfold_")} <= named


async def test_siblings_tell_each_other_their_figures(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)  # longer than the address of a socket may be
    folder.mkdir()
    one, other = Siblings(folder, "api", lambda: b"one"), Siblings(folder, "worker", lambda: b"2")

    async with one.answering(), other.answering():
        assert await one.ask() == {other.name: b"2"}
        assert await other.ask() == {one.name: b"one"}

    async with one.answering():
        assert await one.ask() == {}


async def test_a_sibling_that_was_killed_is_forgotten(tmp_path: Path) -> None:
    one, dead = Siblings(tmp_path, "api", lambda: b""), Siblings(tmp_path, "worker", lambda: b"")
    dead.name = "worker-999999999"
    async with dead.answering():
        [path] = (tmp_path / "metrics").iterdir()
        path.rename(path.with_suffix(".kept"))
    path.with_suffix(".kept").rename(path)

    async with one.answering():
        assert await one.ask() == {}

    assert not path.exists()


async def test_without_a_folder_for_them_there_are_no_siblings(tmp_path: Path) -> None:
    (tmp_path / "metrics").touch()
    alone = Siblings(tmp_path, "api", lambda: b"")

    async with alone.answering():
        assert await alone.ask() == {}


async def test_a_worker_measures_attempts_and_the_steps_of_the_ledger(house: RedisHouse) -> None:
    registry = CollectorRegistry()
    ledger = MeteredLedger(house.leases, WorkerFigures(registry), UNTRACED)
    job = inline_job(batches=3, failurePolicy={"backoffMs": 0, "maxAttempts": 3})
    await house.jobs.accept(job)
    done, broken, left = (claim_of(job.id, f"map-{index}") for index in range(3))
    for claim in (done, broken, left):
        await ledger.claim(claim, worker="w1")

    await ledger.commit(done, outcome_of(done))
    await ledger.commit(done, outcome_of(done))  # the answer was lost
    await ledger.fail(broken, BROKEN)
    await ledger.claim(claim_of(job.id, "map-1", 2), worker="w1")
    await ledger.release(left)
    await house.jobs.cancel(job.tenant, job.id, reason=None)
    late = claim_of(job.id, "map-1", 2)
    await ledger.commit(late, outcome_of(late))

    def attempts(outcome: str) -> float | None:
        labels = {"kind": "map", "outcome": outcome}
        return registry.get_sample_value("fanfold_task_duration_seconds_count", labels)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    outcomes = ("succeeded", "failed", "released", "fenced")
    assert [attempts(outcome) for outcome in outcomes] == [1, 1, 1, 1]
    assert value("fanfold_fenced_commits_total") == 1
    assert value("fanfold_task_retries_total", kind="map") == 1
    assert value("fanfold_ledger_duration_seconds_count", step="commit", outcome="ok") == 3


async def test_a_ledger_that_does_not_answer_is_measured_too(tmp_path: Path) -> None:
    redis, registry = connect(f"unix://{tmp_path}/nobody"), CollectorRegistry()
    ledger = MeteredLedger(house_over(redis).leases, WorkerFigures(registry), UNTRACED)

    with pytest.raises(UnavailableError):
        await ledger.claim(claim_of(inline_job().id, "map-0"), worker="w1")

    labels = {"step": "claim", "outcome": "unavailable"}
    assert registry.get_sample_value("fanfold_ledger_duration_seconds_count", labels) == 1
    await redis.aclose()


def values_of(families: Iterable[Metric]) -> Values:
    """Return samples by their names and the values of their labels."""
    found: Values = {}
    for family in families:
        for sample in family.samples:
            found[(sample.name, *sample.labels.values())] = sample.value
    return found
