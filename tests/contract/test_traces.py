"""Traces: which spans there are, to which trace they belong, and that there are none by default."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from adapters.otel_tracer import OtelTracer, exporting_tracer
from adapters.prometheus import WorkerFigures
from adapters.redis.client import connect
from adapters.redis.traces import RedisTraces
from app.settings import load_settings
from app.telemetry.traces import ENDPOINTS, tracing
from engine.job import new_job_id
from engine.tracer import UNTRACED
from tests.support.house import house_over
from tests.support.jobs import BROKEN, claim_of, inline_job
from workers.metered import MeteredLedger

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Spans:
    """A tracer whose spans are kept here."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer = exporting_tracer("test", processor=SimpleSpanProcessor(self._exporter))

    def named(self, name: str) -> ReadableSpan:
        [span] = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    assert span.context is not None
    assert span.parent.trace_id == span.context.trace_id
    return f"00-{span.parent.trace_id:032x}-{span.parent.span_id:016x}-01"


def test_a_span_belongs_to_the_callers_trace(spans: Spans) -> None:
    with spans.tracer.span("HTTP POST", parent=CALLER):
        inner = spans.tracer.traceparent()

    span = spans.named("HTTP POST")
    assert parent_of(span) == CALLER
    assert inner is not None
    assert inner.split("-")[1] == CALLER.split("-")[1]


def test_spans_under_a_parent_belong_to_it_without_a_span_of_its_own(spans: Spans) -> None:
    with spans.tracer.under(CALLER), spans.tracer.span("submitJob"):
        pass

    assert parent_of(spans.named("submitJob")) == CALLER
    assert spans.tracer.traceparent() is None


def test_what_is_no_traceparent_begins_a_trace(spans: Spans) -> None:
    with spans.tracer.span("map", parent="nonsense"):
        pass

    assert spans.named("map").parent is None


async def test_the_trace_of_a_job_is_kept_with_it(redis: Redis) -> None:
    jobs = house_over(redis).jobs
    traced, untraced = inline_job(traceparent=CALLER), inline_job()
    await jobs.accept(traced)
    await jobs.accept(untraced)
    traces = RedisTraces(redis)

    assert await traces.parent_of(traced.id) == CALLER
    assert await traces.parent_of(untraced.id) is None
    await redis.flushall()
    assert await traces.parent_of(traced.id) == CALLER  # it is asked for once


async def test_without_redis_nobody_knows_the_trace(tmp_path: Path) -> None:
    redis = connect(f"unix://{tmp_path}/nobody")

    assert await RedisTraces(redis).parent_of(new_job_id()) is None

    await redis.aclose()


async def test_the_span_of_an_attempt_tells_how_it_ended(redis: Redis, spans: Spans) -> None:
    house = house_over(redis)
    ledger = MeteredLedger(house.leases, WorkerFigures(CollectorRegistry()), spans.tracer)
    job = inline_job()
    await house.jobs.accept(job)
    claim = claim_of(job.id, "map-0")

    with spans.tracer.span("map", job=job.id, attempt=1):
        await ledger.claim(claim, worker="w1")
        await ledger.fail(claim, BROKEN)

    span = spans.named("map")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == BROKEN.code
    assert dict(span.attributes or {}) == {
        "fanfold.job": job.id,
        "fanfold.attempt": 1,
        "fanfold.outcome": "failed",
    }


@pytest.mark.parametrize(
    ("otel", "environ", "is_on"),
    [
        ("", {}, False),
        ("", {ENDPOINTS[0]: "http://127.0.0.1:1"}, True),
        ("", {ENDPOINTS[0]: " "}, False),
        ("off", {ENDPOINTS[0]: "http://127.0.0.1:1"}, False),
        ("on", {}, True),
    ],
)
def test_traces_are_on_where_they_are_wanted(
    tmp_path: Path, otel: str, environ: dict[str, str], is_on: bool
) -> None:
    settings = load_settings({"FANFOLD_DATA_DIR": str(tmp_path), "FANFOLD_OTEL": otel})

    with tracing(settings, environ, role="api") as tracer:
        assert isinstance(tracer, OtelTracer) is is_on
        assert (tracer is UNTRACED) is not is_on


def test_nothing_of_opentelemetry_is_imported_by_default() -> None:
    program = (
        "import app.serving.api, app.local.up, app.worker, sys;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
