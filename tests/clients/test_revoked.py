"""A client whose key is revoked while it follows a job ends with an error; it does not ask on."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.node import Node
from tests.support.running import RunningService, fanfold
from tests.support.told import CLIENTS, Told, telling

pytestmark = pytest.mark.anyio

HERE: Final = Path(__file__).parent


async def test_every_client_ends_when_its_key_is_revoked(
    guarded: RunningService, node: Node, tmp_path: Path
) -> None:
    environ = {"FANFOLD_DATA_DIR": str(guarded.data_dir)}
    key = fanfold("key", "create", "--tenant", "revoked", environ=environ).stdout.strip()
    (listed,) = fanfold(
        "key", "list", "--tenant", "revoked", "--json", environ=environ
    ).stdout.splitlines()
    job = {
        "program": "crowd",
        "params": {"folder": str(tmp_path)},
        "source": {"inline": ["ada"]},
        "idempotencyKey": str(tmp_path),
    }

    async with AsyncExitStack() as stack:
        told: dict[str, Told] = {}
        for name in CLIENTS:
            command = command_of(name, node, guarded.url, job)
            told[name] = await stack.enter_async_context(telling(command, token=key))
        for each in told.values():
            await each.until(lambda it: it.states)

        revoked = await asyncio.to_thread(
            fanfold, "key", "revoke", json.loads(listed)["id"], environ=environ
        )

        assert revoked.returncode == 0, revoked.stderr
        ends = await asyncio.gather(
            *(each.failure() for each in told.values()), return_exceptions=True
        )
    assert {name: end for name, end in zip(told, ends, strict=True) if end is not None} == {}


def command_of(name: str, node: Node, url: str, job: dict[str, Any]) -> list[str]:
    start = {
        "gql": [sys.executable, "-m", "tests.clients.drive"],
        "curl": [str(HERE / "curl.sh")],
    }.get(name) or node.command(HERE / "drive.mjs", name)
    return [*start, f"{url}/graphql", json.dumps(job)]
