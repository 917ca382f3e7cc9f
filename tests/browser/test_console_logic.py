from __future__ import annotations

import re
import subprocess

import pytest

from app.serving.assets import BUILT
from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError
from tests.support.running import ROOT

MOST_PACKED_BYTES = 200_000


def test_the_console_is_small_enough_for_a_slow_line() -> None:
    if not (BUILT / "index.html").exists():
        do_without("needs the console: make console")
    page = (BUILT / "index.html").read_text()

    loaded = [BUILT / f"{name}.gz" for name in re.findall(r"assets/[\w.-]+\.(?:js|css)", page)]

    assert len(loaded) >= 2
    assert sum(path.stat().st_size for path in loaded) <= MOST_PACKED_BYTES


@pytest.mark.long
def test_the_consoles_logic_holds_and_its_source_is_typed_linted_and_formatted() -> None:
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
