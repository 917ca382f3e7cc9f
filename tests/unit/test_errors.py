"""The tree of errors is complete, and its codes can be told apart."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise

import pytest

from engine import errors
from engine.errors import FanfoldError, InputError, Issue, NonRetryable, UserCodeError

CLASSES: list[type[FanfoldError]] = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, FanfoldError) and found.__module__ == errors.__name__
]
# A program's own exceptions carry one code, whether it raised ours or another.
SHARED_ON_PURPOSE = {NonRetryable, UserCodeError}


def drawn_tree() -> dict[str, str]:
    """Return each class of the docstring's tree with its parent there."""
    above: dict[int, str] = {}
    parents = {}
    for depth, name in re.findall(r"^([│├└─ ]*)([A-Z]\w+)(?=\s{2,}|$)", errors.__doc__ or "", re.M):
        level = len(depth) // 4
        above[level] = name
        parents[name] = above.get(level - 1, "Exception")
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    assert drawn_tree() == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_has_a_code_and_a_sentence(kind: type[FanfoldError]) -> None:
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", kind.code)
    assert kind.__doc__
    assert isinstance(kind.retryable, bool)


def test_codes_are_distinct() -> None:
    told_apart = [kind for kind in CLASSES if kind not in SHARED_ON_PURPOSE - {UserCodeError}]
    codes = sorted(kind.code for kind in told_apart)

    assert all(one != other for one, other in pairwise(codes))


def test_an_input_error_lists_every_problem() -> None:
    error = InputError(Issue(("input", "a"), "is wrong"), Issue(("input", "b"), "is worse"))

    assert error.message == "input.a: is wrong; input.b: is worse"
    assert len(error.issues) == 2
