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


@pytest.mark.parametrize(
    ("command", "told", "untold"),
    [
        ("watch", "Print every JobStatus as a line of JSON, until the end.", "--wait"),
        ("update", "Map tasks at once, from now on.", "by default"),
        ("update", "Items, or a share of them, that may fail, from now on.", "by default"),
        ("share", "a day at most; by default 1h.", "3600"),
        ("schema", "may come again. One of aws_api_key", "give it once for each"),
    ],
)
def test_an_option_is_told_as_it_works_for_that_command(
    command: str, told: str, untold: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = " ".join(help_of(command, capsys).split())

    assert told in shown
    assert untold not in shown


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_stand_below_the_help_as_they_are_typed(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = help_of(command, capsys).splitlines()

    assert {f"  {line}" for line in EXAMPLES[command].splitlines()} <= {*lines}
    assert all("fanfold " in line for line in EXAMPLES[command].splitlines())
