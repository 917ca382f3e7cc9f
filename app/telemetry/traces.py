"""Traces of this process, if they are wanted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Final

from app.settings import Settings
from engine.errors import ConfigError
from engine.tracer import UNTRACED, Tracer

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
NEEDED: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")

log = logging.getLogger(__name__)


def tracing(
    settings: Settings, environ: Mapping[str, str], *, role: str
) -> AbstractContextManager[Tracer]:
    """Return the tracer of a process, which sends what is left when the context is closed.

    Traces are on with ``FANFOLD_OTEL=on``, or where a standard variable names a collector. Nothing
    of OpenTelemetry is imported otherwise.

    Raises:
        ConfigError: They are asked for, and the extra ``otel`` is not installed.
    """
    is_wanted = settings.otel
    if is_wanted is None:
        is_wanted = any(environ.get(name, "").strip() for name in ENDPOINTS)
    if not is_wanted:
        return nullcontext(UNTRACED)
    if not _is_installed():
        problem = (
            "traces need opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http "
            "(the extra otel)"
        )
        if settings.otel:
            raise ConfigError(f"FANFOLD_OTEL: {problem}")
        log.warning("no traces: %s", problem)
        return nullcontext(UNTRACED)
    return _exporting(f"fanfold-{role}")


def _is_installed() -> bool:
    try:
        return all(find_spec(name) for name in NEEDED)
    except ModuleNotFoundError:
        return False


@contextmanager
def _exporting(service: str) -> Iterator[Tracer]:
    from adapters.otel_tracer import exporting_tracer  # only here: it is an extra, and large

    tracer = exporting_tracer(service)
    try:
        yield tracer
    finally:
        tracer.close()
