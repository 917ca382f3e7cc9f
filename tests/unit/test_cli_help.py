"""Help of every command: sections, examples, and nothing wider than a terminal."""

from __future__ import annotations

import pytest

from app.cli import run
from app.commands.examples import EXAMPLES

COMMANDS = (
    *("demo", "up", "api", "worker", "schema", "webhook-secret"),
    *("submit", "plan", "watch", "result", "share"),
    *("jobs", "failures", "programs", "cancel", "update", "redrive", "delete"),
    *("key create", "key list", "key revoke"),
)


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([*command.split(), "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal_and_is_plain(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    described, _, examples = help_of(command, capsys).partition("\nExample")

    assert max(map(len, described.splitlines())) <= 100
    assert "<str>" not in described
    assert "\x1b" not in described + examples


def test_every_command_is_listed_in_a_section(capsys: pytest.CaptureFixture[str]) -> None:
    listed = help_of("", capsys)

    sections = [line for line in listed.splitlines() if line.endswith(":") and line[0] != " "]
    assert sections == [
        *("Options:", "Run it:", "Use it:", "Look around:", "Change a job:", "Set it up:")
    ]
    assert all(f"\n  {command.split()[0]} " in listed for command in COMMANDS)


def test_the_options_of_a_job_stand_in_sections(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of("submit", capsys)

    sections = [line for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    assert sections[:4] == ["Arguments:", "Options:", "Input:", "How it runs:"]
    assert sections[-3:] == ["Afterwards:", "Service:", "Examples:"]
    assert shown.startswith("Usage: fanfold submit [OPTIONS] [PROGRAM] URI...\n")


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_stand_below_the_help_as_they_are_typed(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = help_of(command, capsys).splitlines()

    assert {f"  {line}" for line in EXAMPLES[command].splitlines()} <= {*lines}
    assert all("fanfold " in line for line in EXAMPLES[command].splitlines())
