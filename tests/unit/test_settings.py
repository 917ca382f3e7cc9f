"""Settings: what is read, what is refused, and that every problem is told at once."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.runtime import environment_of, signer_of
from app.settings import Settings, load_settings
from engine.errors import ConfigError
from engine.quotas import Quotas


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

    assert (settings.host, settings.port, settings.auth) == ("127.0.0.1", 8000, frozenset())
    assert settings.quotas == Quotas()
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
            "FANFOLD_AUTH": "kees",
            "FANFOLD_JWKS_URL": "http://keys.test/jwks.json",
            "FANFOLD_ALLOWED_HOSTS": "a.test,b c",
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
        "FANFOLD_AUTH: must be off, keys, jwt or keys,jwt, got 'kees'",
        "FANFOLD_JWKS_URL: must be an https address, or http on loopback, got"
        " 'http://keys.test/jwks.json'",
        "FANFOLD_ALLOWED_HOSTS: must be names such as jobs.example.com, got 'b c'",
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


def test_a_host_that_others_reach_needs_callers_told_apart(data_dir: Path) -> None:
    assert problems_of(
        {"FANFOLD_HOST": "0.0.0.0"},  # noqa: S104 - refused, never bound
        data_dir=data_dir,
        allowed_hosts=("jobs.test",),
    ) == [
        "FANFOLD_HOST: must be a loopback address, such as 127.0.0.1, because anyone who reaches"
        " the service may use it while FANFOLD_AUTH is off; got '0.0.0.0'",
    ]


def test_all_addresses_need_the_names_of_the_service(data_dir: Path) -> None:
    environ = {"FANFOLD_AUTH": "keys", "FANFOLD_HOST": "0.0.0.0"}  # noqa: S104 - as above

    assert problems_of(environ, data_dir=data_dir) == [
        "FANFOLD_ALLOWED_HOSTS: must be set to the names by which the service is called, such as"
        " jobs.example.com, because FANFOLD_HOST is 0.0.0.0, which is all addresses"
    ]
    environ["FANFOLD_ALLOWED_HOSTS"] = "jobs.test, *.example.com"
    hosts = load_settings(environ, data_dir=data_dir).hosts
    assert hosts[-2:] == ("jobs.test", "*.example.com")
    assert "127.0.0.1" in hosts


def test_any_name_will_not_do_while_everybody_is_trusted(data_dir: Path) -> None:
    assert problems_of({"FANFOLD_ALLOWED_HOSTS": "*"}, data_dir=data_dir) == [
        "FANFOLD_ALLOWED_HOSTS: must not be '*' while FANFOLD_AUTH is off"
    ]


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("off", set()),
        ("keys", {"keys"}),
        ("jwt", {"jwt"}),
        ("keys,jwt", {"keys", "jwt"}),
        (" jwt , keys ", {"keys", "jwt"}),
    ],
)
def test_callers_are_told_apart_in_one_way_or_several(
    data_dir: Path, text: str, modes: set[str]
) -> None:
    provider = {
        "FANFOLD_JWKS_URL": "https://login.test/jwks.json",
        "FANFOLD_JWT_ISSUER": "https://login.test/",
        "FANFOLD_JWT_AUDIENCE": "fanfold",
    }

    assert load_settings({"FANFOLD_AUTH": text, **provider}, data_dir=data_dir).auth == modes


@pytest.mark.parametrize("text", ["on", "keys,off", "off,jwt", ",", "KEYS", "keys;jwt"])
def test_other_ways_are_refused(data_dir: Path, text: str) -> None:
    assert problems_of({"FANFOLD_AUTH": text}, data_dir=data_dir) == [
        f"FANFOLD_AUTH: must be off, keys, jwt or keys,jwt, got {text!r}"
    ]


def test_a_provider_is_told_of_whole(data_dir: Path) -> None:
    assert problems_of({"FANFOLD_AUTH": "jwt"}, data_dir=data_dir) == [
        f"FANFOLD_{name}: must be set, because FANFOLD_AUTH has jwt"
        for name in ("JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE")
    ]


@pytest.mark.parametrize(
    "url", ["http://login.test/", "ftp://a.test/", "https://", "https://me@login.test/", "login"]
)
def test_keys_come_over_a_safe_way_alone(data_dir: Path, url: str) -> None:
    (problem,) = problems_of({"FANFOLD_JWKS_URL": url}, data_dir=data_dir)

    assert problem.startswith("FANFOLD_JWKS_URL: must be an https address, or http on loopback")


@pytest.mark.parametrize("url", ["https://login.test/k", "http://127.0.0.1:1/k", "http://[::1]/k"])
def test_safe_ways_for_keys_are_taken(data_dir: Path, url: str) -> None:
    assert load_settings({"FANFOLD_JWKS_URL": url}, data_dir=data_dir).jwks_url == url


def test_tenants_have_quotas_where_callers_are_told_apart(data_dir: Path) -> None:
    quotas = load_settings({"FANFOLD_AUTH": "keys"}, data_dir=data_dir).quotas

    assert quotas == Quotas(
        live_jobs=1_000, queued_tasks=1_000_000, connections=20_000, submits_per_minute=6_000
    )


def test_quotas_can_be_set_and_lifted(data_dir: Path) -> None:
    settings = load_settings(
        {
            "FANFOLD_AUTH": "keys",
            "FANFOLD_QUOTA_LIVE_JOBS": "off",
            "FANFOLD_QUOTA_SUBMITS_PER_MINUTE": "7",
        },
        data_dir=data_dir,
    )

    assert (settings.quotas.live_jobs, settings.quotas.submits_per_minute) == (0, 7)
    assert problems_of({"FANFOLD_QUOTA_CONNECTIONS": "-1"}, data_dir=data_dir) == [
        "FANFOLD_QUOTA_CONNECTIONS: must be off, or 1 to 1000000000, got '-1'"
    ]


@pytest.mark.parametrize(
    ("environ", "longest_s"),
    [
        ({}, None),
        ({"FANFOLD_AUTH": "keys"}, 3_600),
        ({"FANFOLD_AUTH": "keys", "FANFOLD_MAX_TASK_SECONDS": "off"}, None),
        ({"FANFOLD_AUTH": "keys", "FANFOLD_MAX_TASK_SECONDS": "60"}, 60),
        ({"FANFOLD_MAX_TASK_SECONDS": "60"}, 60),
    ],
)
def test_tasks_have_a_time_limit_where_callers_are_told_apart(
    environ: dict[str, str], longest_s: int | None, data_dir: Path
) -> None:
    settings = load_settings(environ, data_dir=data_dir)

    passed_on = load_settings(environment_of(settings, redis_url=None))

    assert (settings.longest_task_s, passed_on.longest_task_s) == (longest_s, longest_s)


@pytest.mark.parametrize("seconds", ["-1", "604801", "1.5", "1h"])
def test_a_time_limit_of_tasks_is_a_number_of_seconds(seconds: str, data_dir: Path) -> None:
    assert problems_of({"FANFOLD_MAX_TASK_SECONDS": seconds}, data_dir=data_dir) == [
        f"FANFOLD_MAX_TASK_SECONDS: must be off, or 1 to 604800, got {seconds!r}"
    ]


def test_processes_of_a_deployment_tell_callers_apart_alike(data_dir: Path) -> None:
    environ = {
        "FANFOLD_AUTH": "keys,jwt",
        "FANFOLD_JWKS_URL": "https://login.test/jwks.json",
        "FANFOLD_JWT_ISSUER": "https://login.test/",
        "FANFOLD_JWT_AUDIENCE": "fanfold",
        "FANFOLD_JWT_TENANT_CLAIM": "org",
        "FANFOLD_ALLOWED_HOSTS": "jobs.test",
        "FANFOLD_QUOTA_LIVE_JOBS": "7",
    }
    settings = load_settings(environ, data_dir=data_dir)

    passed_on = load_settings(environment_of(settings, redis_url=None))

    for name in (
        *("auth", "jwks_url", "jwt_issuer", "jwt_audience", "jwt_tenant_claim"),
        *("allowed_hosts", "quotas"),
    ):
        assert getattr(passed_on, name) == getattr(settings, name)


def test_a_signing_key_that_could_be_guessed_is_refused(data_dir: Path) -> None:
    assert problems_of({"FANFOLD_SIGNING_KEY": "k" * 31}, data_dir=data_dir) == [
        "FANFOLD_SIGNING_KEY: must have 32 random bytes or more"
    ]


def test_processes_with_one_signing_key_know_each_other_s_tokens(tmp_path: Path) -> None:
    given = {"FANFOLD_SIGNING_KEY": "k" * 32}
    here, there = (load_settings(given, data_dir=tmp_path / name) for name in ("here", "there"))

    assert signer_of(there).unseal(signer_of(here).seal(b"said")) == b"said"
    assert "k" * 32 not in repr(here)


def test_a_signing_key_is_made_once_for_a_data_folder(tmp_path: Path) -> None:
    here, there = (load_settings({}, data_dir=tmp_path / name) for name in ("here", "there"))
    sealed = signer_of(here).seal(b"said")

    assert signer_of(here).unseal(sealed) == b"said"
    assert signer_of(there).unseal(sealed) is None
    (here.data_dir / "signing.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="the signing key must have 32"):
        signer_of(here)


def test_a_process_that_runs_queries_does_not_get_the_signing_key(data_dir: Path) -> None:
    settings = load_settings({"FANFOLD_SIGNING_KEY": "k" * 32}, data_dir=data_dir)

    assert "FANFOLD_SIGNING_KEY" in environment_of(settings, redis_url="redis://localhost")
    assert "FANFOLD_SIGNING_KEY" not in environment_of(settings, redis_url=None)
