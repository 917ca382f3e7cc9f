"""A peer that does not read: others do not notice, it costs little, and it is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.memory import World, job_of, make_world
from tests.support.peer import Peer, peer_of
from tests.support.socket_server import Doorman, SocketServer, socket_server
from tests.support.waiting import eventually_async
from transport.websocket_protocol import DROP_AFTER_S, PING_EVERY_S, PONG_WITHIN_S

pytestmark = pytest.mark.anyio
FOLLOW = 'subscription { jobStatus(id: "j-1", minIntervalMs: 10) { version message } }'
LARGE = "x" * 20_000
DROPPED_WITHIN_S = 15
KERNEL_BYTES = 192 * 1024


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
async def server(
    world: World, tmp_path: Path, anyio_backend: object
) -> AsyncIterator[SocketServer]:
    world.jobs.put(job_of("j-1"))
    async with asyncio.timeout(55), socket_server(world, Doorman(), tmp_path) as server:
        yield server


async def following(peer: Peer) -> None:
    await peer.init(token="ada")
    await peer.subscribe(FOLLOW)
    assert (await peer.receive())["payload"]["data"]["jobStatus"]["version"] == 1


async def version_of(peer: Peer) -> int:
    version: int = (await peer.receive())["payload"]["data"]["jobStatus"]["version"]
    return version


def unsent_bytes(server: SocketServer) -> int:
    """The most that the kernel holds for one peer of the server."""
    port = f":{urlsplit(server.url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return max(int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(port))


async def test_one_that_does_not_read_is_dropped_and_holds_little_until_then(
    server: SocketServer, world: World
) -> None:
    async with peer_of(server.url) as stalled, peer_of(server.url) as quick:
        await following(stalled)
        await following(quick)
        stalled.socket.transport.pause_reading()
        most_bytes, start = 0, asyncio.get_running_loop().time()

        seen = last = 1
        while server.socket.open_connections == 2:
            last = world.jobs.change("j-1", message=LARGE).status.version
            while seen < last:
                seen = await version_of(quick)
            most_bytes = max(most_bytes, unsent_bytes(server))
        took_s = asyncio.get_running_loop().time() - start

        assert took_s < DROPPED_WITHIN_S
        assert took_s > DROP_AFTER_S / 2
        assert most_bytes < KERNEL_BYTES
        assert seen == last


async def test_one_that_stalls_for_a_moment_gets_the_newest_alone(
    server: SocketServer, world: World
) -> None:
    async with peer_of(server.url) as slow, peer_of(server.url) as quick:
        await following(slow)
        await following(quick)
        slow.socket.transport.pause_reading()
        for version in range(2, 302):
            world.jobs.change("j-1", message=LARGE)
            while await version_of(quick) < version:
                pass

        slow.socket.transport.resume_reading()
        versions = [await version_of(slow)]
        while versions[-1] < 301:
            versions.append(await version_of(slow))

    assert versions == sorted(set(versions))
    assert len(versions) < 250


async def test_one_that_is_silent_and_does_not_read_is_dropped(server: SocketServer) -> None:
    async with peer_of(server.url) as silent:
        await following(silent)
        silent.socket.transport.pause_reading()  # so it answers no ping
        await eventually_async(
            lambda: not server.socket.open_connections,
            within_s=PING_EVERY_S + PONG_WITHIN_S + 5,
        )


async def test_one_that_is_silent_but_answers_pings_stays(server: SocketServer) -> None:
    async with peer_of(server.url) as silent:
        await following(silent)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(PING_EVERY_S + PONG_WITHIN_S + 1):
                await silent.socket.recv()
        await silent.is_idle()
