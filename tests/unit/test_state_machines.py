"""The state machines that are deployed are those of the code, and hold together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.aws.step_functions_definition import express, standard
from app.aws.state_machines import files

MACHINES = [pytest.param(standard(), id="standard"), pytest.param(express(), id="express")]


def test_the_committed_ones_are_what_the_code_makes() -> None:
    for path, text in files().items():
        assert path.read_text() == text, "run python -m app.aws.state_machines"


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_is_reached_and_no_name_is_used_twice(machine: dict[str, Any]) -> None:
    names: list[str] = []
    for processor in processors(machine):
        states = processor["States"]
        names += states
        reached = {
            processor["StartAt"],
            *(each for state in states.values() for each in following(state)),
        }
        assert reached == set(states)
    assert len(names) == len(set(names))


def test_what_a_redrive_is_to_repeat_is_neither_caught_nor_a_state_that_fails() -> None:
    for processor in processors(standard()):
        for name, state in processor["States"].items():
            assert state["Type"] != "Fail"
            if state["Type"] == "Map" or name.endswith("GiveUp"):
                assert "Catch" not in state


def processors(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The machine and those within its maps."""
    yield machine
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            yield from processors(state["ItemProcessor"])


def following(state: dict[str, Any]) -> list[str]:
    others = [*state.get("Choices", ()), *state.get("Catch", ())]
    named = [state.get("Next"), state.get("Default"), *(other["Next"] for other in others)]
    return [name for name in named if name is not None]
