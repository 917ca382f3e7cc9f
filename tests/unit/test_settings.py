"""Settings: what is read, what is refused, and that every problem is told at once."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, load_settings
from engine.errors import ConfigError


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def problems_of(environ: dict[str, str], **overrides: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ, **overrides)
    return caught.value.message.splitlines()


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        settings = load_settings({})

    assert (settings.host, settings.port, settings.auth) == ("127.0.0.1", 8000, "off")
    assert settings.data_dir == tmp_path / ".fanfold"
    assert settings.source_roots == (tmp_path / ".fanfold" / "files",)
    assert settings.source_roots[0].is_dir()
    assert settings.redis_url is None
    assert settings.workers == len(os.sched_getaffinity(0))
    assert settings.programs == ()
    assert (settings.inline_result_bytes, settings.max_wait_ms) == (65536, 25000)


def test_the_data_folder_is_for_this_user_alone(data_dir: Path) -> None:
    settings = load_settings({"FANFOLD_DATA_DIR": str(data_dir)})

    assert settings.data_dir.stat().st_mode & 0o777 == 0o700


def test_every_variable_is_read(data_dir: Path, tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.touch()
    roots = [tmp_path / "a", tmp_path / "b"]
    for root in roots:
        root.mkdir()

    settings = load_settings(
        {
            "FANFOLD_HOST": "::1",
            "FANFOLD_PORT": "9000",
            "FANFOLD_DATA_DIR": str(data_dir),
            "FANFOLD_REDIS_URL": "redis://localhost:6379/1",
            "FANFOLD_WORKERS": "3",
            "FANFOLD_PROGRAMS": f"examples.words, {program},",
            "FANFOLD_SOURCE_ROOTS": os.pathsep.join(map(str, roots)),
            "FANFOLD_INLINE_RESULT_BYTES": "0",
            "FANFOLD_MAX_WAIT_MS": "1000",
            "FANFOLD_AUTH": "off",
            "FANFOLD_URL": "http://localhost:8000",
            "PATH": "/bin",
        }
    )

    assert settings == Settings(
        host="::1",
        port=9000,
        data_dir=data_dir,
        redis_url="redis://localhost:6379/1",
        workers=3,
        programs=("examples.words", str(program)),
        source_roots=tuple(roots),
        inline_result_bytes=0,
        max_wait_ms=1000,
    )


def test_an_override_wins_and_none_is_no_override(data_dir: Path) -> None:
    environ = {"FANFOLD_DATA_DIR": str(data_dir), "FANFOLD_PORT": "9000"}

    assert load_settings(environ, port=9001).port == 9001
    assert load_settings(environ, port=None).port == 9000


def test_an_override_repairs_a_bad_variable(data_dir: Path) -> None:
    environ = {"FANFOLD_DATA_DIR": str(data_dir), "FANFOLD_PORT": "abc"}

    assert load_settings(environ, port=9001).port == 9001


def test_an_override_of_nothing_known_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="no such settings: prot"):
        load_settings({}, prot=1)


def test_an_empty_variable_counts_as_unset(data_dir: Path) -> None:
    settings = load_settings({"FANFOLD_PORT": "", "FANFOLD_REDIS_URL": " "}, data_dir=data_dir)

    assert settings.port == 8000
    assert settings.redis_url is None


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.touch()

    problems = problems_of(
        {
            "FANFOLD_AUTH": "keys",
            "FANFOLD_HOST": "0.0.0.0",  # noqa: S104 - refused, never bound
            "FANFOLD_PORT": "abc",
            "FANFOLD_DATA_DIR": str(occupied),
            "FANFOLD_REDIS_URL": "http://:secret@localhost",
            "FANFOLD_WORKERS": "0",
            "FANFOLD_PROGRAMS": "examples.words,no-module",
            "FANFOLD_SOURCE_ROOTS": str(tmp_path / "missing"),
            "FANFOLD_INLINE_RESULT_BYTES": "-1",
            "FANFOLD_MAX_WAIT_MS": "1e3",
            "FANFOLD_POTR": "8000",
        }
    )

    assert problems == [
        "FANFOLD_AUTH: only 'off' is available, got 'keys'",
        "FANFOLD_HOST: must be a loopback address, such as 127.0.0.1, because anyone who reaches"
        " the service may use it while FANFOLD_AUTH is off; got '0.0.0.0'",
        "FANFOLD_PORT: must be 1 to 65535, got 'abc'",
        f"FANFOLD_DATA_DIR: must be a folder that can be written, got {occupied}: File exists",
        "FANFOLD_REDIS_URL: must start with redis://, rediss:// or unix://",
        "FANFOLD_WORKERS: must be 1 to 1024, got '0'",
        "FANFOLD_PROGRAMS: must be module names or .py files, got 'no-module'",
        f"FANFOLD_SOURCE_ROOTS: must be folders that exist, got {tmp_path / 'missing'}",
        "FANFOLD_INLINE_RESULT_BYTES: must be 0 to 16777216, got '-1'",
        "FANFOLD_MAX_WAIT_MS: must be 0 to 300000, got '1e3'",
        "FANFOLD_POTR: no such setting, did you mean FANFOLD_PORT?",
    ]


def test_an_unknown_name_alone_is_refused(data_dir: Path) -> None:
    environ = {"FANFOLD_DATA_DIR": str(data_dir), "FANFOLD_COLOUR_OF_THE_SKY": "blue"}

    assert problems_of(environ) == ["FANFOLD_COLOUR_OF_THE_SKY: no such setting"]


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80.0", "8_000", "٨٠", "9" * 5000, "x"])
def test_a_port_that_is_none_is_refused(data_dir: Path, port: str) -> None:
    (problem,) = problems_of({"FANFOLD_PORT": port}, data_dir=data_dir)

    assert problem == f"FANFOLD_PORT: must be 1 to 65535, got {port!r}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_host_is_accepted(data_dir: Path, host: str) -> None:
    assert load_settings({"FANFOLD_HOST": host}, data_dir=data_dir).host == host


@pytest.mark.parametrize("host", ["::", "10.0.0.1", "example.org", "localhost.example.org"])
def test_another_host_is_refused_while_auth_is_off(data_dir: Path, host: str) -> None:
    (problem,) = problems_of({"FANFOLD_HOST": host}, data_dir=data_dir)

    assert problem.startswith("FANFOLD_HOST: must be a loopback address")


def test_a_program_file_that_is_missing_is_refused(data_dir: Path) -> None:
    (problem,) = problems_of({"FANFOLD_PROGRAMS": "missing.py"}, data_dir=data_dir)

    assert problem == (
        "FANFOLD_PROGRAMS: must be module names or .py files that exist, got 'missing.py'"
    )


def test_a_password_is_shown_nowhere(data_dir: Path) -> None:
    settings = load_settings({"FANFOLD_REDIS_URL": "redis://:secret@localhost"}, data_dir=data_dir)

    assert "secret" not in repr(settings)


def test_settings_are_frozen(data_dir: Path) -> None:
    settings = load_settings({}, data_dir=data_dir)

    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_a_setting_of_a_later_version_is_told_of_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_settings({"FANFOLD_JWKS_URL": "https://keys.test"}, data_dir=tmp_path / "data")

    assert "FANFOLD_JWKS_URL: has no effect in this version" in caplog.text
