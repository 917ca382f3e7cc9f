"""What a program may be, and its parameters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, RootModel, field_validator

from engine.context import MAX_COUNTERS, MAX_LOG_LINES, Context
from engine.errors import InputError, Issue, OutputError, UnavailableError
from engine.program import Program


class Tree(BaseModel):
    name: str = ""
    branches: list[Tree] = []


class Calling(BaseModel):
    call: Callable[[], None]


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")
    top: int
    word: str = "a"


def nothing(*_: Any) -> None:
    return None


async def nothing_async(*_: Any) -> None:
    return None


async def nothing_yielded(*_: Any) -> AsyncIterator[None]:
    yield None


@pytest.mark.parametrize("name", ["a", "word-count_2.v1", "a" * 100])
def test_names_that_may_be(name: str) -> None:
    assert Program(name=name, map=nothing).name == name


@pytest.mark.parametrize("name", ["", "A", "1a", "-a", "a b", "é", "a/b", "a\n", "a" * 101])
def test_names_that_may_not_be(name: str) -> None:
    with pytest.raises(ValueError, match="does not match"):
        Program(name=name, map=nothing)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({}, "exactly one of map and map_batch"),
        ({"map": nothing, "map_batch": nothing}, "exactly one of map and map_batch"),
        ({"map": nothing, "combine": nothing}, "combine needs a reduce"),
    ],
)
def test_functions_must_fit_together(functions: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Program(name="p", **functions)


def test_without_a_reduce_it_is_map_only() -> None:
    assert Program(name="p", map=nothing).is_map_only
    assert not Program(name="p", map=nothing, reduce=nothing).is_map_only


@pytest.mark.parametrize("name", ["map", "map_batch"])
@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (nothing, False),
        (nothing_async, True),
        (nothing_yielded, True),
        (partial(nothing, 1), False),
        (partial(nothing_async, 1), True),
    ],
)
def test_it_is_async_as_its_map_is(name: str, function: Any, is_async: bool) -> None:
    functions: dict[str, Any] = {name: function}
    assert Program(name="p", **functions).is_async is is_async


def test_parameters_are_checked_and_every_problem_told() -> None:
    program = Program(name="p", map=nothing, params=Params)

    assert program.parse_params({"top": 3}) == Params(top=3)
    with pytest.raises(InputError) as caught:
        program.parse_params({"word": 1, "more": 2}, "input", "params")
    assert {issue.path for issue in caught.value.issues} == {
        ("input", "params", "top"),
        ("input", "params", "word"),
        ("input", "params", "more"),
    }
    assert program.params_schema["required"] == ["top"]


def test_a_program_without_parameters_takes_none() -> None:
    program = Program(name="p", map=nothing)

    assert program.parse_params({}) == {}
    with pytest.raises(InputError) as caught:
        program.parse_params({"a": 1, "b": 2}, "input", "params")
    assert [issue.path[-1] for issue in caught.value.issues] == ["a", "b"]
    assert program.params_schema["additionalProperties"] is False


def test_counters_add_up_to_a_limited_number() -> None:
    ctx = Context(params={})
    for number in range(MAX_COUNTERS):
        ctx.count(f"c{number}")
    ctx.at(3).count("c0", 2)

    assert ctx.counters["c0"] == 3
    with pytest.raises(OutputError, match="one too many"):
        ctx.count("another")


def test_the_last_lines_are_kept_and_cut() -> None:
    ctx = Context(params={})
    for number in range(MAX_LOG_LINES + 1):
        ctx.at(number).log(f"{number} " + "x" * 2_000)

    assert len(ctx.log_lines) == MAX_LOG_LINES
    assert ctx.log_lines[0].startswith("1 ")
    assert max(map(len, ctx.log_lines)) == 1_000


@pytest.mark.parametrize("n", [float("nan"), float("inf"), -float("inf"), 2**53 + 1, 1e300, "1"])
def test_a_counter_counts_in_numbers_that_stay_exact(n: Any) -> None:
    ctx = Context(params={})
    ctx.count("fine", 2**53)

    with pytest.raises(OutputError, match="counter 'bad'"):
        ctx.count("bad", n)

    assert ctx.counters == {"fine": 2**53}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (Calling, "program p: params has no JSON Schema"),
        (RootModel[list[int]], "program p: params must be a model with named fields"),
        (RootModel[dict[str, int]], "program p: params must be a model with named fields"),
    ],
)
def test_parameters_that_cannot_be_described_are_refused_at_once(
    params: type[BaseModel], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Program(name="p", map=nothing, params=params)


def test_parameters_may_contain_themselves() -> None:
    program = Program(name="p", map=nothing, params=Tree)

    assert program.parse_params({"branches": [{"name": "a"}]}).branches == [Tree(name="a")]
    with pytest.raises(InputError, match="no such parameter; p takes name, branches"):
        program.parse_params({"nam": ""})


def test_jobs_in_python_load_no_duckdb() -> None:
    loading = "import sys, engine.python_work; from engine import SqlProgram"

    subprocess.run(
        [sys.executable, "-c", f"{loading}; sys.exit('duckdb' in sys.modules)"], check=True
    )


@pytest.mark.parametrize("error", [RecursionError, OverflowError, KeyError, TypeError])
def test_whatever_a_validator_raises_is_a_problem_of_the_parameters(error: type[Exception]) -> None:
    class Checked(BaseModel):
        depth: int = 0

        @field_validator("depth")
        @classmethod
        def _fits(cls, value: int) -> int:
            raise error(value)

    program = Program(name="p", map=nothing, params=Checked)

    with pytest.raises(InputError) as caught:
        program.parse_params({"depth": 1, "dept": 2}, "input", "params")

    assert caught.value.issues == (
        Issue(("input", "params", "dept"), "no such parameter; p takes depth"),
        Issue(("input", "params"), f"p cannot check these parameters: {error.__name__}"),
    )


def test_a_validator_may_tell_that_what_it_asks_is_away() -> None:
    class Asking(BaseModel):
        table: str

        @field_validator("table")
        @classmethod
        def _exists(cls, value: str) -> str:
            raise UnavailableError("the catalogue does not answer")

    with pytest.raises(UnavailableError):
        Program(name="p", map=nothing, params=Asking).parse_params({"table": "t"})
