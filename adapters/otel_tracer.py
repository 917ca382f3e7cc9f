"""Traces by OpenTelemetry. Imported only where they are on: the package is an extra."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT: Final = "traceparent"
CLOSES_WITHIN_S: Final = 2.0


class OtelTracer:
    """Implements ``engine.tracer.Tracer``.

    Args:
        provider: Of this process; where its spans go, and which, is its concern.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("fanfold")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, *, parent: str | None = None, **attributes: str | int
    ) -> Iterator[None]:
        """Have a span while the context is open; see ``Tracer``."""
        named = {f"fanfold.{key}": value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(
            name, context=self._context(parent), attributes=named
        ):
            yield

    @contextmanager
    def under(self, parent: str | None) -> Iterator[None]:
        """Have spans belong to somebody else's; see ``Tracer``."""
        token = context.attach(self._context(parent) or context.get_current())
        try:
            yield
        finally:
            context.detach(token)

    def end(self, outcome: str, *, error: str = "") -> None:
        """Note how the open span's work ended; see ``Tracer``."""
        span = trace.get_current_span()
        span.set_attribute("fanfold.outcome", outcome)
        if error:
            span.set_status(Status(StatusCode.ERROR, error))

    def traceparent(self) -> str | None:
        """Return the open span; see ``Tracer``."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(TRACEPARENT)

    def close(self) -> None:
        """Send what has not been sent; blocks for ``CLOSES_WITHIN_S`` seconds at most."""
        # A collector that is away would hold up the end of the process for longer.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSES_WITHIN_S)

    def _context(self, parent: str | None) -> context.Context | None:
        return self._propagator.extract({TRACEPARENT: parent}) if parent else None


def exporting_tracer(service: str, *, processor: SpanProcessor | None = None) -> OtelTracer:
    """Return a tracer that sends what it notes by OTLP over HTTP.

    Where to, how much, and under which name is told by the standard variables, such as
    ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_SAMPLER`` and ``OTEL_SERVICE_NAME``.

    Args:
        service: Name of the service where no variable gives one.
        processor: Gets the spans instead.
    """
    named = Resource.create()
    if str(named.attributes.get("service.name", "")).startswith("unknown_service"):
        named = named.merge(Resource({"service.name": service}))
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider)
