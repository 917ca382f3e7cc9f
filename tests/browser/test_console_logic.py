from __future__ import annotations

import subprocess

import pytest

from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError
from tests.support.running import ROOT


@pytest.mark.long
def test_the_consoles_logic_holds_and_its_source_is_formatted() -> None:
    try:
        node = Node.find()
        node.install(ROOT / "console")
    except NoNodeError as exc:
        do_without(str(exc))

    checked = subprocess.run(
        [*node.npm, "run", "--silent", "check"],
        cwd=ROOT / "console",
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
