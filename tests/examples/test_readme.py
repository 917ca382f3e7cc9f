"""What ``examples/README.md`` shows is what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.support.running import RunningService
from tests.support.shown import Shown, shown_in

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
README: Final = EXAMPLES / "README.md"
SHOWN: Final = shown_in(README)


@pytest.mark.parametrize("block", SHOWN, ids=[block.script.split("\n")[0] for block in SHOWN])
def test_a_block_prints_what_is_shown(
    service: RunningService, tmp_path: Path, block: Shown
) -> None:
    printed = block.run(tmp_path, {"FANFOLD_URL": service.url})

    assert block.matches(printed), printed


def test_every_program_is_shown_and_every_file_named() -> None:
    text = README.read_text()
    named = [*(EXAMPLES / "programs").glob("*.py"), *(EXAMPLES / "python").glob("*.py")]

    assert [path.name for path in named if path.name not in text] == []
    for program in "access_log link_check revenue best_customers sensors".split():
        assert f"fanfold submit {program} " in text
