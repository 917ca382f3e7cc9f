"""What ``deploy/compose.yaml`` says, and what the service and Redis make of it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from app.local.embedded_redis import find_redis
from app.serving.server import SHUTDOWN_WITHIN_S
from engine.errors import ConfigError
from tests.deploy.manifests import (
    DATA_DIR,
    DEPLOY,
    Document,
    commands,
    compose_services,
    read_yaml,
    settings_given,
    version,
)
from tests.support.waiting import eventually

ROLES = ("api", "worker")


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def redis_command() -> list[str]:
    command: list[str] = compose_services()["redis"]["command"]
    return command


def test_it_keeps_to_the_compose_specification() -> None:
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")

    ran = subprocess.run(
        [*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("role", ROLES)
def test_each_role_starts_with_the_settings_that_it_gets(role: str, tmp_path: Path) -> None:
    service = compose_services()[role]

    settings = settings_given(service["environment"], tmp_path)

    assert settings.auth
    assert service["command"] == [role]
    assert role in commands()


def test_a_misspelt_setting_would_be_noticed(tmp_path: Path) -> None:
    environ = compose_services()["api"]["environment"] | {"FANFOLD_REDISURL": "redis://redis"}

    with pytest.raises(ConfigError, match="did you mean FANFOLD_REDIS_URL"):
        settings_given(environ, tmp_path)


def test_roles_share_one_image_of_this_version() -> None:
    services = compose_services()

    assert {services[role]["image"] for role in ROLES} == {f"fanfold:{version()}"}
    assert (DEPLOY / services["api"]["build"]["context"] / "deploy" / "Dockerfile").exists()


def test_who_is_told_to_end_gets_the_time_that_it_asks_for(tmp_path: Path) -> None:
    services = compose_services()
    worker = settings_given(services["worker"]["environment"], tmp_path)

    assert seconds(services["worker"]["stop_grace_period"]) >= worker.grace_seconds + 10
    assert seconds(services["api"]["stop_grace_period"]) >= SHUTDOWN_WITHIN_S + 10


@pytest.mark.parametrize("role", [*ROLES, "redis"])
def test_nothing_has_rights_that_it_does_not_need(role: str) -> None:
    service = compose_services()[role]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


@pytest.mark.parametrize("role", ROLES)
def test_folders_that_are_mounted_are_there(role: str) -> None:
    [document] = read_yaml(DEPLOY / "compose.yaml")
    mounted = dict(entry.split(":")[:2] for entry in compose_services()[role]["volumes"])

    assert mounted.pop("data") == DATA_DIR
    assert "data" in document["volumes"]
    assert [folder for folder in mounted if not (DEPLOY / folder).is_dir()] == []


def test_only_the_api_is_published_and_only_to_this_machine() -> None:
    [document] = read_yaml(DEPLOY / "compose.yaml")
    published = {name: service.get("ports", []) for name, service in compose_services().items()}

    assert published.pop("api") == ["127.0.0.1:8000:8000"]
    assert not any(published.values())
    assert document["networks"]["inside"] == {"internal": True}
    assert compose_services()["redis"]["networks"] == ["inside"]


def test_everything_tells_whether_it_is_well() -> None:
    services = compose_services()
    checked = {name for name, service in services.items() if "healthcheck" in service}

    assert checked == services.keys() - {"api"}  # whose image has one
    assert services["worker"]["healthcheck"]["test"][:3] == ["CMD", "python", "-c"]
    port = services["worker"]["environment"]["FANFOLD_METRICS_PORT"]
    assert f"'127.0.0.1', {port}," in services["worker"]["healthcheck"]["test"][3]


def test_a_store_is_started_only_where_it_is_asked_for() -> None:
    services: Document = compose_services()

    assert services["s3"]["profiles"] == ["s3"]
    assert not any("s3" in service.get("depends_on", {}) for service in services.values())


def answers(redis: Redis) -> bool:
    with suppress(RedisError):
        return bool(redis.ping())
    return False


def test_redis_takes_these_words_and_keeps_what_it_has_acknowledged(tmp_path: Path) -> None:
    program, *options = redis_command()
    assert program == "redis-server"
    socket = tmp_path / "s"
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(1024**3),
        "save": "",
    }

    with subprocess.Popen(
        [find_redis().path, *options, "--port", "0", "--unixsocket", str(socket)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            with Redis(unix_socket_path=str(socket), decode_responses=True) as redis:
                eventually(lambda: answers(redis))
                told: dict[str, str] = redis.execute_command("CONFIG GET", "*")
        finally:
            process.kill()

    assert {name: told[name] for name in wanted} == wanted
