"""Every way in which redis-py fails is translated, or deliberately passed on."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import redis.exceptions
from redis.asyncio import Redis
from redis.exceptions import DataError

from adapters.redis.client import LedgerScripts, connect, reply, translated
from adapters.redis.jobs import RedisJobs
from engine.errors import UnavailableError
from tests.support.jobs import inline_job

pytestmark = pytest.mark.anyio

CLASSES: list[type[Exception]] = [
    found
    for _, found in inspect.getmembers(redis.exceptions, inspect.isclass)
    if issubclass(found, Exception)
]

# Redis would refuse the command again, or we never said it: mistakes of our own, to be seen.
PASSED_ON = {
    "AskError",
    "AuthenticationWrongNumberOfArgsError",
    "ChildDeadlockedError",
    "ClusterCrossSlotError",
    "ClusterDownError",
    "DataError",
    "ExecAbortError",
    "MasterDownError",
    "ModuleError",
    "MovedError",
    "NoPermissionError",
    "RedisClusterException",
    "ResponseError",
    "SlotNotCoveredError",
}


def made(kind: type[Exception]) -> Exception:
    # Redirections of a cluster take their text apart.
    return kind("12182 127.0.0.1:7000")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_the_client_is_translated_or_passed_on_deliberately(
    kind: type[Exception],
) -> None:
    error = made(kind)
    expected = kind if kind.__name__ in PASSED_ON else UnavailableError

    with pytest.raises(expected) as caught, translated():
        raise error

    if expected is UnavailableError:
        assert caught.value.__cause__ is error


def test_nothing_is_said_to_be_passed_on_that_does_not_exist() -> None:
    assert {kind.__name__ for kind in CLASSES} >= PASSED_ON


@pytest.mark.parametrize(
    "text",
    [
        "MISCONF Redis is configured to save RDB snapshots",
        "NOREPLICAS Not enough good replicas to write.",
        "MASTERDOWN Link with MASTER is down",
        "BUSY Redis is busy running a script.",
        "LOADING Redis is loading the dataset in memory",
        # Redis 6 says so of what a script tried to do.
        "Error running script (call to f_1): @user_script:9: "
        "@user_script: 9: -OOM command not allowed when used memory > 'maxmemory'.",
        "Error running script (call to f_1): @user_script:9: "
        "@user_script: 9: -READONLY You can't write against a read only replica.",
        "Error running script (call to f_1): @user_script:9: "
        "-MISCONF Redis is configured to save RDB snapshots",
    ],
)
def test_replies_that_pass_by_themselves_are_translated(text: str) -> None:
    with pytest.raises(UnavailableError, match="cannot write now"), translated():
        raise redis.exceptions.ResponseError(text)


def test_a_mistake_in_a_script_is_passed_on() -> None:
    text = "Error running script (call to f_1): @user_script:9: attempt to index a nil value"

    with pytest.raises(redis.exceptions.ResponseError), translated():
        raise redis.exceptions.ResponseError(text)


@pytest.mark.parametrize("error", [OSError("no route"), TimeoutError("late")], ids=repr)
def test_what_the_system_says_is_translated(error: OSError) -> None:
    with pytest.raises(UnavailableError), translated():
        raise error


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours")], ids=repr)
def test_other_exceptions_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)), translated():
        raise error


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    client = connect("unix:///nowhere/redis.sock")

    with pytest.raises(UnavailableError, match="does not answer"):
        await LedgerScripts(client).call("sweep", 1, "{}", "{}")

    await client.aclose()


async def test_a_server_that_is_full_is_unavailable_and_writes_again_when_it_is_not(
    redis: Redis,
) -> None:
    jobs = RedisJobs(redis)
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(UnavailableError, match="cannot write now"):
            await jobs.accept(inline_job())
    finally:
        await redis.config_set("maxmemory", "0")

    assert (await jobs.accept(inline_job())).created


async def test_a_server_that_became_a_replica_is_unavailable(redis: Redis) -> None:
    jobs = RedisJobs(redis)
    await reply(redis.replicaof("127.0.0.1", "1"))
    try:
        with pytest.raises(UnavailableError, match="cannot write now"):
            await jobs.accept(inline_job())
    finally:
        await reply(redis.replicaof("NO", "ONE"))


async def test_scripts_survive_a_server_that_forgot_them(redis: Redis) -> None:
    jobs = RedisJobs(redis)
    await jobs.accept(inline_job())

    await redis.script_flush()

    assert (await jobs.accept(inline_job())).created


async def test_an_argument_that_redis_cannot_hold_is_a_mistake_of_ours(redis: Redis) -> None:
    argument: Any = object()

    with pytest.raises(DataError):
        await LedgerScripts(redis).call("sweep", argument)
