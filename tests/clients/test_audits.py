"""The audits of GraphQL over HTTP that come with the npm package graphql-http."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.node import Node, without_proxies
from tests.support.running import RunningService

SCRIPT: Final = Path(__file__).with_name("audits.mjs")
MANY: Final = {"MUST": 13, "SHOULD": 23, "MAY": 25}

Audit = dict[str, Any]


@pytest.fixture(scope="module")
def audits(node: Node, service: RunningService) -> list[Audit]:
    """What each audit found."""
    ran = subprocess.run(
        node.command(SCRIPT, f"{service.url}/graphql"),
        env=without_proxies(),
        stdout=subprocess.PIPE,
        timeout=50,
        check=True,
    )
    found: list[Audit] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("requirement", MANY)
def test_every_audit_passes(audits: list[Audit], requirement: str) -> None:
    failed = [
        f"{audit['id']} {audit['name']}: {audit['reason']}; {audit['code']} {audit['body']}"
        for audit in audits
        if requirement_of(audit) == requirement and audit["status"] != "ok"
    ]

    assert failed == []


def test_all_audits_were_run(audits: list[Audit]) -> None:
    assert Counter(map(requirement_of, audits)) == MANY


def requirement_of(audit: Audit) -> str:
    return str(audit["name"]).split(maxsplit=1)[0]
