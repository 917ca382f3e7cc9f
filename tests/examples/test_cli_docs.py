"""What ``docs/CLI.md`` shows is what happens, and it names every command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.running import RunningService, fanfold
from tests.support.shown import Shown, shown_in

DOCS: Final = Path(__file__).parents[2] / "docs" / "CLI.md"
SHOWN: Final = shown_in(DOCS)
OPTION: Final = re.compile(r"--[a-z][a-z-]+")
COMMAND: Final = re.compile(r"^  ([a-z][a-z-]+)  +[A-Z]", re.M)
HEAD: Final = re.compile(r"^  (?:-o, )?--[a-z-]+", re.M)


@pytest.mark.parametrize("block", SHOWN, ids=[block.script.split("\n")[0] for block in SHOWN])
def test_a_block_prints_what_is_shown(
    service: RunningService, tmp_path: Path, block: Shown
) -> None:
    printed = block.run(tmp_path, {"FANFOLD_URL": service.url})

    assert block.matches(printed), printed


def test_every_command_is_named() -> None:
    commands = COMMAND.findall(fanfold("--help", environ={}).stdout)

    assert len(commands) > 15
    assert [name for name in commands if f"`{name}" not in DOCS.read_text()] == []


def test_every_option_that_is_named_is_one() -> None:
    listed = fanfold("--help", environ={}).stdout
    helps = [fanfold(name, "--help", environ={}).stdout for name in COMMAND.findall(listed)]
    options = {*OPTION.findall("".join(HEAD.findall("".join([listed, *helps]))))}

    assert {*OPTION.findall(DOCS.read_text())} <= options
    # Examples below the help of commands are words to be typed as well.
    assert {*OPTION.findall("".join(helps))} <= options
