"""What may be set about figures, log lines and traces, and who inherits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.runtime import environment_of
from app.settings import Settings, load_settings
from engine.errors import ConfigError


def settings_of(folder: Path, **environ: str) -> Settings:
    return load_settings({"FANFOLD_DATA_DIR": str(folder), **environ})


def test_by_default_lines_are_for_people_and_there_is_no_port(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)

    assert (settings.log, settings.log_level) == ("text", "INFO")
    assert (settings.metrics_host, settings.metrics_port) == ("127.0.0.1", 0)
    assert settings.otel is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FANFOLD_LOG", "xml"),
        ("FANFOLD_REDIS_FSYNC", "no"),
        ("FANFOLD_LOG_LEVEL", "TRACE"),
        ("FANFOLD_METRICS_PORT", "65536"),
        ("FANFOLD_OTEL", "maybe"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, **{name: value})

    assert caught.value.message.startswith(f"{name}: ")
    assert len(caught.value.message.splitlines()) == 1


@pytest.mark.parametrize("otel", ["on", "off", ""])
def test_workers_log_and_trace_as_the_service_does(tmp_path: Path, otel: str) -> None:
    settings = settings_of(
        tmp_path, FANFOLD_LOG="json", FANFOLD_LOG_LEVEL="debug", FANFOLD_OTEL=otel
    )

    inherited = load_settings(environment_of(settings, redis_url=None))

    assert (inherited.log, inherited.log_level) == ("json", "DEBUG")
    assert inherited.otel is settings.otel


def test_workers_of_a_service_have_no_port_of_their_own(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, FANFOLD_METRICS_PORT="9464")

    assert load_settings(environment_of(settings, redis_url=None)).metrics_port == 0
