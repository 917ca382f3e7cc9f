"""What the Dockerfiles in ``deploy/`` say, as far as it can be told without building them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.manifests import DATA_DIR, DEPLOY, ROOT, commands, version
from tests.support.needs import do_without
from tests.support.running import environment, free_port, running_service

TEXT: Final = (DEPLOY / "Dockerfile").read_text()
LAST_STAGE: Final = TEXT[TEXT.rindex("\nFROM ") :]
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def needed_by(requirements: Iterable[str]) -> set[str]:
    """Return the names of everything that is installed for *requirements* here."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        extras = [{"extra": extra} for extra in ("", *wanted.extras)]
        if wanted.marker and not any(map(wanted.marker.evaluate, extras)):
            continue
        if name in found and not wanted.extras:
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            inner = Requirement(text)
            if inner.marker is None or any(map(inner.marker.evaluate, extras)):
                inner.marker = None
                waiting.append(inner)
    return found


def healthy(port: int) -> bool:
    """Run the image's own health check."""
    [check] = re.findall(r"HEALTHCHECK .*\n\s+CMD (\[.*\])\n", TEXT)
    python, *arguments = json.loads(check)
    assert python == "python"
    ran = subprocess.run(
        [sys.executable, *arguments],
        env=environment({"FANFOLD_PORT": str(port)}),
        capture_output=True,
        timeout=30,
        check=False,
    )
    return ran.returncode == 0


@pytest.mark.parametrize("name", ["Dockerfile", "aws/Dockerfile", "aws/spark.Dockerfile"])
def test_hadolint_has_nothing_to_say(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = str(hadolint) if hadolint.exists() else shutil.which("hadolint")
    if found is None:
        do_without("needs hadolint")

    ran = subprocess.run([found, DEPLOY / name], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "")


def test_all_that_is_copied_is_let_through_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
    packages = set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])

    assert "*" in lines
    assert allowed == packages | {
        "console",
        "deploy/aws/spark_main.py",
        "pyproject.toml",
        "README.md",
        "requirements.lock",
        "requirements-aws.lock",
        "requirements-spark.lock",
    }


def test_what_the_console_is_built_of_is_there() -> None:
    stage = TEXT[TEXT.index(" AS console\n") : TEXT.index(" AS build\n")]
    copied = [line.split()[1:-1] for line in stage.splitlines() if line.startswith("COPY ")]
    [script] = re.findall(r"^RUN bash (\S+)$", stage, re.M)

    assert [name for names in copied for name in names if not (ROOT / name).exists()] == []
    assert (ROOT / script).exists()


def test_the_wheel_has_all_that_is_read_at_run_time(tmp_path: Path) -> None:
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    context = tmp_path / "context"
    context.mkdir()
    shutil.copy(ROOT / "pyproject.toml", context)
    for package in packages:
        shutil.copytree(
            ROOT / package,
            context / package,
            ignore=shutil.ignore_patterns("__pycache__", "static"),
        )
    console = context / "app" / "static" / "index.html"
    console.parent.mkdir()
    console.write_text("from another stage")

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=context,
        capture_output=True,
        check=True,
    )

    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = {str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()}
    assert files - packed == {"pyproject.toml"}


def test_what_only_building_needs_is_removed_before_the_last_stage() -> None:
    removed = re.findall(r"uninstall -q -y \\\n\s+([\w -]+?) \\\n", TEXT)
    building = needed_by(PYPROJECT["dependency-groups"]["build"])
    running = needed_by(PYPROJECT["project"]["dependencies"])

    assert [set(names.split()) for names in removed] == [building - running]


def test_the_last_stage_installs_nothing_and_runs_as_nobody_special() -> None:
    assert not re.search(r"\b(apt-get|npm|pip3? install|curl|wget)\b", LAST_STAGE)
    assert re.findall(r"^USER (\d+):(\d+)$", LAST_STAGE, re.M) == [("10001", "10001")]
    assert LAST_STAGE.index("USER ") < LAST_STAGE.index("ENTRYPOINT ")


def test_the_only_folder_that_is_written_to_is_the_user_s_own() -> None:
    assert f"FANFOLD_DATA_DIR={DATA_DIR}\n" in LAST_STAGE
    assert f"install -d -o fanfold -g fanfold -m 700 {DATA_DIR}" in LAST_STAGE
    assert f"VOLUME {DATA_DIR}" in LAST_STAGE


def test_it_starts_a_command_that_exists() -> None:
    [entry] = re.findall(r"^ENTRYPOINT (.*)$", LAST_STAGE, re.M)
    [role] = json.loads(re.findall(r"^CMD (.*)$", LAST_STAGE, re.M)[0])

    assert json.loads(entry) == list(PYPROJECT["project"]["scripts"]) == ["fanfold"]
    assert role in commands()


def test_no_base_is_named_without_a_version() -> None:
    bases = dict(re.findall(r"^ARG (NODE|PYTHON)=(.*)$", TEXT, re.M))

    assert all(re.match(r"\d+(\.\d+)?-", tag) for tag in bases.values()), bases
    assert bases["PYTHON"].split("-")[0] in str(PYPROJECT["project"]["classifiers"])


def test_it_says_which_version_it_is() -> None:
    assert f'image.version="{version()}"' in TEXT


class TestTheImageForAws:
    def test_it_installs_what_the_extra_needs_and_no_more(self) -> None:
        locked = (ROOT / "requirements-aws.lock").read_text()
        found = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", locked, re.M)}
        extra = PYPROJECT["project"]["optional-dependencies"]["aws"]
        needed = needed_by([*PYPROJECT["project"]["dependencies"], *extra])
        building = needed_by(PYPROJECT["dependency-groups"]["build"])

        assert needed - found == set()
        assert (building - needed) & found == set()
        assert "://" not in locked

    def test_what_it_mounts_is_there_and_it_runs_as_nobody_special(self) -> None:
        text = (DEPLOY / "aws" / "Dockerfile").read_text()
        mounted = re.findall(r"type=bind,source=(req[^,]+),", text)

        assert mounted == ["requirements-aws.lock"]
        assert re.findall(r"^USER (\d+):(\d+)$", text, re.M) == [("10001", "10001")]
        assert f'image.version="{version()}"' in text

    def test_that_of_spark_has_its_packages_but_not_spark_itself(self) -> None:
        text = (DEPLOY / "aws" / "spark.Dockerfile").read_text()
        locked = set(
            re.findall(r"^([\w.-]+)==", (ROOT / "requirements-spark.lock").read_text(), re.M)
        )

        assert re.findall(r"type=bind,source=(req[^,]+),", text) == ["requirements-spark.lock"]
        assert {"pandas", "pyarrow", "boto3"} <= locked
        assert not {"pyspark", "py4j"} & locked
        assert "COPY deploy/aws/spark_main.py /opt/fanfold/\n" in text
        assert f'image.version="{version()}"' in text


@pytest.mark.long
def test_its_health_check_tells_a_service_from_none(tmp_path: Path) -> None:
    port = free_port()
    files = tmp_path / "files"
    files.mkdir()

    assert not healthy(port)
    with running_service(tmp_path / "data", files, port=port, workers=1):
        assert healthy(port)
