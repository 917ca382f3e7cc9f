"""What ``deploy/fanfold.service`` says."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from app.serving.server import SHUTDOWN_WITHIN_S
from app.settings import Settings
from tests.deploy.manifests import DEPLOY, commands
from tests.support.needs import do_without

UNIT: Final = DEPLOY / "fanfold.service"


@pytest.fixture
def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser["Service"]


def test_it_starts_a_command_that_exists(service: configparser.SectionProxy) -> None:
    program, role = service["ExecStart"].split()

    assert program.endswith("/.venv/bin/fanfold")
    assert role in commands()


def test_it_waits_until_everything_has_ended(service: configparser.SectionProxy) -> None:
    grace_s = Settings.model_fields["grace_seconds"].default

    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) >= SHUTDOWN_WITHIN_S + grace_s + 10


def test_its_settings_exist() -> None:
    named = re.findall(r"FANFOLD_([A-Z_]+[A-Z])=", UNIT.read_text())

    assert {name.lower() for name in named} <= Settings.model_fields.keys()


def test_systemd_understands_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        do_without("needs systemd-analyze")
    unit = tmp_path / UNIT.name
    installed = tmp_path / ".venv" / "bin" / "fanfold"
    installed.parent.mkdir(parents=True)
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    unit.write_text(UNIT.read_text().replace("/opt/fanfold", str(tmp_path)))

    ran = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
