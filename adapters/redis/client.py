"""Redis connections and scripts, and the translation of their errors.

Every command has a time limit, so that a dead link is an error within seconds and never a hang.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    DataError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from engine.errors import UnavailableError

COMMAND_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 2.0
MAX_CONNECTIONS: Final = 32
_PASSING: Final = (ReadOnlyError, OutOfMemoryError, TryAgainError)
_PASSING_REPLIES: Final = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY", "LOADING")
# Redis 6 wraps what a command of a script was told, and redis-py then knows no class for it.
_PASSING_IN_SCRIPT: Final = re.compile(r" -(OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN) ")


def connect(url: str) -> Redis:
    """Return a client for *url*; nothing is sent yet.

    A command is tried three times over about half a second when the connection fails. All scripts
    of the ledger are safe to repeat.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=COMMAND_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=0.25, base=0.05), retries=3),
        retry_on_error=[ConnectionError, TimeoutError, BusyLoadingError],
    )
    return Redis.from_pool(pool)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises into ``UnavailableError``, but for mistakes of our own.

    A reply that refuses the command itself, such as a wrong type, would be refused again and is
    passed on as it is; so is an argument that cannot be sent.
    """
    try:
        yield
    except NoScriptError as exc:
        raise UnavailableError("Redis does not answer: it was started anew meanwhile") from exc
    except ResponseError as exc:
        if not _passes(exc):
            raise
        raise UnavailableError(f"Redis cannot write now: {exc}") from exc
    except DataError:
        raise
    except (RedisError, OSError) as exc:
        raise UnavailableError(f"Redis does not answer: {type(exc).__name__}: {exc}") from exc


def _passes(exc: ResponseError) -> bool:
    text = str(exc)
    return (
        isinstance(exc, _PASSING)
        or text.startswith(_PASSING_REPLIES)
        or _PASSING_IN_SCRIPT.search(text) is not None
    )


@cache
def source_of(*names: str) -> str:
    """Return the Lua sources *names* of this package, one after another."""
    folder = files("adapters.redis") / "lua"
    return "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in names)


async def reply(pending: Any) -> Any:
    """Await a command; redis-py types many of them as awaitable or not, ours always are."""
    return await pending


SHARED: Final = ("arq_dispatch", "prelude", "partial", "attempts", "shelves", "retention")


OF_NEW_JOBS: Final = ("arq_dispatch", "prelude")
"""What a job is accepted with: every function costs a little at every call, used or not."""


def ledger_script(name: str) -> str:
    """Return the whole text of the ledger's script *name*."""
    return source_of(*(OF_NEW_JOBS if name == "accept" else SHARED), name)


class LedgerScripts:
    """The ledger's scripts on one client, each called by its name."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._scripts: dict[str, Any] = {}

    async def call(self, name: str, *args: Any) -> Any:
        """Run the script *name*.

        Raises:
            UnavailableError: Redis does not answer.
        """
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._redis.register_script(ledger_script(name))
        with translated():
            return await script(args=args)
