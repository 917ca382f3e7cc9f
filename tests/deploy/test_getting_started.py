"""What ``docs/GETTING_STARTED.md`` says is what happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from gql import GraphQLRequest

from tests.deploy.manifests import ROOT
from tests.support.client import Api
from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError, without_proxies
from tests.support.running import RunningService, environment, free_port, running_service

TEXT: Final = (ROOT / "docs" / "GETTING_STARTED.md").read_text()
ADDRESS: Final = "127.0.0.1:8000"
COUNTS: Final = [
    {"level": "ERROR", "n": 1},
    {"level": "INFO", "n": 2},
    {"level": "WARNING", "n": 1},
]
NOT_HERE: Final = ("make ", "FANFOLD_SOURCE_ROOTS=", ".venv/bin/python ", "node ")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def run(
    *command: str, cwd: Path, service: RunningService | None = None
) -> subprocess.CompletedProcess[str]:
    url = {} if service is None else {"FANFOLD_URL": service.url}
    ran = subprocess.run(
        command,
        cwd=cwd,
        env=without_proxies() | environment(url),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands before the start of the service have run."""
    folder = tmp_path_factory.mktemp("started")
    before = [line for line in commands() if line.startswith(("mkdir ", "printf "))]
    run("sh", "-ec", "\n".join(before), cwd=folder)
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[RunningService]:
    with running_service(folder / "data", folder / "logs", port=free_port()) as running:
        yield running


def test_the_command_line(folder: Path, service: RunningService) -> None:
    fanfold = f"{sys.executable} -m app.cli"
    lines = [line for line in commands() if not line.startswith((*NOT_HERE, "mkdir ", "printf "))]
    script = "\n".join(lines).replace(".venv/bin/fanfold", fanfold)

    ran = run("sh", "-ec", script, cwd=folder, service=service)

    assert "succeeded" in ran.stdout
    assert {"be,2", "to,2", "not,1", "or,1"} <= set(ran.stdout.split())


@pytest.mark.anyio
async def test_graphiql(service: RunningService) -> None:
    submit, follow = blocks("graphql")

    async with Api(service.url) as api, api.socket() as session:
        job = (await api.ask(submit))["submitJob"]["job"]
        following = GraphQLRequest(follow, variable_values={"id": job["id"]})
        states = [state async for state in session.subscribe(following)]

    assert job["status"] == {"state": "SUCCEEDED", "result": COUNTS}
    assert states[-1]["jobStatus"]["result"] == COUNTS


def test_python(folder: Path, service: RunningService) -> None:
    [program] = blocks("python")
    script = folder / "first.py"
    script.write_text(program.replace(ADDRESS, service.url.removeprefix("http://")))

    said = run(sys.executable, str(script), cwd=folder).stdout.splitlines()

    assert said[-2].startswith("SUCCEEDED")
    assert said[-1] == str(COUNTS)


def test_javascript(service: RunningService) -> None:
    clients = ROOT / "tests" / "clients"
    try:
        node = Node.find()
        node.install(clients)
    except NoNodeError as exc:
        do_without(str(exc))
    [program] = blocks("js")
    text = program.replace(ADDRESS, service.url.removeprefix("http://"))

    # Standing beside the packages, which is where Node looks for them.
    said = run(*node.node, "--input-type=module", "--eval", text, cwd=clients).stdout.splitlines()

    assert said[-2].startswith("SUCCEEDED")
    assert json.loads(said[-1]) == COUNTS
