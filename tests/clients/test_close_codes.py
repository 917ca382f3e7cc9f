"""What graphql-ws sees and does when the service closes its connection."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.node import Node, without_proxies
from tests.support.running import RunningService

SCRIPT: Final = Path(__file__).with_name("close_codes.mjs")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (4400, "a message that is no JSON"),
        (4401, "an operation before connection_init"),
        (4406, "a connection without the subprotocol"),
        (4409, "two operations with one id"),
        (4429, "two connection_inits"),
    ],
)
def test_a_fault_of_the_client_ends_it_for_good(
    node: Node, service: RunningService, code: int, why: str
) -> None:
    seen = provoke(node, service, code)

    assert seen["outcome"] == f"failed with {code}", why
    assert seen["connections"] == 1
    assert [closed for closed, _ in seen["closes"]] == [code]
    assert all(reason for _, reason in seen["closes"])


def test_a_client_that_was_too_slow_to_begin_comes_again(
    node: Node, service: RunningService
) -> None:
    seen = provoke(node, service, 4408)

    assert seen["outcome"] == "answered"
    assert seen["connections"] == 2
    assert seen["closes"][0] == [4408, "Connection initialisation timeout"]


def test_a_client_whom_nobody_knows_is_told_so_and_may_come_with_another_token(
    node: Node, guarded: RunningService
) -> None:
    seen = provoke(node, guarded, 4403)

    assert seen["outcome"] == "failed with 4403"
    assert seen["connections"] == 2
    assert seen["closes"] == [[4403, "Forbidden"]] * 2


def provoke(node: Node, service: RunningService, code: int) -> dict[str, Any]:
    ran = subprocess.run(
        node.command(SCRIPT, str(code), f"{service.url}/graphql"),
        env=without_proxies(),
        stdout=subprocess.PIPE,
        timeout=50,
        check=True,
    )
    seen: dict[str, Any] = json.loads(ran.stdout)
    return seen
