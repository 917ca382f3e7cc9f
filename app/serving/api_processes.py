"""The API in several processes that share a port.

The kernel gives each its part of the connections, for as long as these last. Each has its own event
loop, caches and followers; what they share is in Redis.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from app.local.keeper import keep_running
from app.runtime import environment_of
from app.serving.server import SHUTDOWN_WITHIN_S, address_of, listening_socket
from app.settings import PREFIX, Settings
from app.stopping import Stop
from engine.cancellation import cancel_all
from engine.errors import ConfigError

STARTS_WITHIN_S: Final = 60.0
_ASK_AGAIN_S: Final = 0.05


@asynccontextmanager
async def api_processes(settings: Settings, stop: Stop) -> AsyncIterator[str]:
    """Run ``settings.api_processes`` of them while the context is open; yield their address.

    Those that die are started again.

    Raises:
        ConfigError: The port is in use, or none of them starts.
    """
    with listening_socket(settings):
        pass  # nobody else is there, also nobody who would share
    environment = _environment(settings)
    role = ("api", "--shared")
    # Takes no connections, because it does not listen; it keeps others from the port.
    with listening_socket(settings, is_shared=True):
        keepers = [
            asyncio.create_task(
                keep_running(role, environment, stop, grace_s=SHUTDOWN_WITHIN_S),
                name=f"api {index}",
            )
            for index in range(settings.api_processes)
        ]
        try:
            await _until_one_listens(settings)
            yield address_of(settings)
        finally:
            await cancel_all(keepers)


async def _until_one_listens(settings: Settings) -> None:
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection(settings.host, settings.port)
                except OSError:
                    await asyncio.sleep(_ASK_AGAIN_S)
                else:
                    writer.close()
                    return
    except TimeoutError:
        raise ConfigError(
            f"no process of the API has started within {STARTS_WITHIN_S:.0f} s; the log tells why"
        ) from None


def _environment(settings: Settings) -> Mapping[str, str]:
    """Return an environment in which the same settings are found again, but for one process."""
    alone = settings.model_copy(update={"api_processes": 1})
    return environment_of(settings, redis_url=settings.redis_url) | {
        PREFIX + name.upper(): _text(name, value) for name, value in alone if value is not None
    }


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, frozenset):
        return ",".join(sorted(value)) or "off"
    if isinstance(value, tuple):
        return (os.pathsep if name.endswith("_roots") else ",").join(map(str, value))
    return str(value)
