"""Clients of every kind, each as a command that submits a job, follows it and reads its rows."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError
from tests.support.running import RunningService, free_port, running_service
from tests.support.told import Command

HERE: Final = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> Node:
    """Node, with the packages of the clients."""
    try:
        found = Node.find()
        found.install(HERE)
    except NoNodeError as exc:
        do_without(str(exc))
    return found


@pytest.fixture
def command(request: pytest.FixtureRequest, client: str) -> Command:
    """How *client*, a parameter of the test, is run with an address and a job."""
    if client == "gql":
        start = [sys.executable, "-m", "tests.clients.drive"]
    elif client == "curl":
        if not shutil.which("curl"):
            do_without("needs curl on PATH")
        start = [str(HERE / "curl.sh")]
    else:
        node: Node = request.getfixturevalue("node")
        start = node.command(HERE / "drive.mjs", client)
    return lambda url, job: [*start, f"{url}/graphql", json.dumps(job)]


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that wants to know who calls."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = {"FANFOLD_AUTH": "keys", "FANFOLD_SQL": "off"}
    port = free_port()
    with running_service(folder / "data", folder, port=port, workers=1, settings=settings) as it:
        yield it
