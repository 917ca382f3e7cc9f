"""The programs that come with Fanfold."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import InlinePlace
from engine.context import Context
from engine.errors import InputError, Issue
from engine.kernel import finish_rows, map_batch, map_rows, reduce_partition
from engine.program import Program
from engine.programs import grep, inverted_index, wordcount

LINES = st.lists(st.text(st.sampled_from("ab \té\u00a0\n"), max_size=12), max_size=12)


def run(program: Program, batches: list[list[Any]], **params: Any) -> list[Any]:
    """Run a whole job in one partition."""
    parsed = program.parse_params(params)
    parts: list[bytes] = []
    found: list[Any] = []
    first = 0
    for batch in batches:
        ctx = Context(params=parsed, locate=lambda index, first=first: InlinePlace(first + index))  # type: ignore[misc]
        first += len(batch)
        if program.is_map_only:
            found += map_rows(program, batch, ctx)
        else:
            parts.append(map_batch(program, batch, ctx).to_piece(1)[0])
    if program.is_map_only:
        return found
    ctx = Context(params=parsed)
    rows = list(reduce_partition(program, parts, ctx))
    finished = finish_rows(program, iter(rows), ctx)
    return rows if finished is None else list(finished)


@given(lines=LINES, cut=st.integers(0, 12))
def test_wordcount_counts_what_stands_between_white_space(lines: list[str], cut: int) -> None:
    expected = Counter(" ".join(lines).split())

    rows = run(wordcount.PROGRAM, [lines[:cut], lines[cut:]])

    assert rows == [{"key": word, "value": n} for word, n in sorted(expected.items())]


def test_wordcount_keeps_the_most_frequent_words_ties_in_order() -> None:
    rows = run(wordcount.PROGRAM, [["c c b b a d"]], top=3)

    assert [(row["key"], row["value"]) for row in rows] == [("b", 2), ("c", 2), ("a", 1)]


@pytest.mark.parametrize("top", [0, -1, 1_000_001, "many", 1.5])
def test_wordcount_refuses_a_top_that_makes_no_sense(top: Any) -> None:
    with pytest.raises(InputError):
        wordcount.PROGRAM.parse_params({"top": top})


def test_inverted_index_lists_each_place_once_in_order() -> None:
    rows = run(inverted_index.PROGRAM, [["b a a", "a"], ["b"]])

    assert rows == [
        {"key": "a", "value": ["inline[0]", "inline[1]"]},
        {"key": "b", "value": ["inline[0]", "inline[2]"]},
    ]


@given(lines=LINES, cut=st.integers(0, 12))
def test_inverted_index_is_the_same_however_it_is_cut(lines: list[str], cut: int) -> None:
    cuts = [lines[:cut], lines[cut:]]

    assert run(inverted_index.PROGRAM, cuts) == run(inverted_index.PROGRAM, [lines])


def test_grep_finds_lines_with_their_places() -> None:
    rows = run(grep.PROGRAM, [["abc", "xyz"], ["ABC", "b"]], pattern="b", ignoreCase=True)

    assert rows == [
        {"name": f"inline[{n}]", "offset": n, "line": line}
        for n, line in ((0, "abc"), (2, "ABC"), (3, "b"))
    ]


def test_grep_looks_at_the_values_of_rows() -> None:
    rows = run(grep.PROGRAM, [[{"a": "x", "b": 12}, {"a": None}]], pattern="^x 12$")

    assert [row["line"] for row in rows] == ["x 12"]


def test_grep_minds_the_case_unless_told_otherwise() -> None:
    assert run(grep.PROGRAM, [["A"]], pattern="a") == []


def test_grep_knows_more_than_ascii() -> None:
    lines = ["naïve 😀 ÉTÉ", "naive", "\x00 été"]

    assert [row["line"] for row in run(grep.PROGRAM, [lines], pattern="ï. .")] == []
    assert [row["line"] for row in run(grep.PROGRAM, [lines], pattern="^na.ve . ")] == lines[:1]
    found = run(grep.PROGRAM, [lines], pattern=r"\bété$|\pL{3}$", ignoreCase=True)
    assert [row["offset"] for row in found] == [0, 1, 2]


def test_grep_takes_a_number_for_its_digits() -> None:
    assert [row["line"] for row in run(grep.PROGRAM, [["404", "505"]], pattern=404)] == ["404"]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*c", "(.*a){20}b", "(x+x+)+y|(a*)*b"])
def test_grep_takes_no_longer_than_the_line_is(pattern: str) -> None:
    before_s = time.process_time()

    assert run(grep.PROGRAM, [["a" * 100_000 + "!"]], pattern=pattern) == []

    assert time.process_time() - before_s < 5


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)" + "[a-\U0010ffff]" * 199,
        "(" * 500,
        "a{99999999999999999999}",
        "x{0,1000}" * 111,
        "(?:x{0,500}){2}" * 30,
        r"\PL" * 333,
        r"(?i)[" + r"\pL\pN\pS" * 100 + "]",
        "(((a?){10}){10}){10}" * 10,
    ],
)
def test_grep_spends_little_on_any_pattern(pattern: str) -> None:
    before_s = time.process_time()

    with suppress(InputError):
        grep.PROGRAM.parse_params({"pattern": pattern, "ignoreCase": True})

    assert time.process_time() - before_s < 0.1


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(", "missing ): ("),
        ("(?=a)", "invalid perl operator: (?="),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(" * 500, "missing ): " + "(" * 500),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("[é-a]", "invalid character class range: é-a"),
        (".{1000}", "pattern too large - compile failed"),
    ],
)
def test_grep_tells_what_is_wrong_with_a_pattern(pattern: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        grep.PROGRAM.parse_params({"pattern": pattern}, "input", "params")

    message = f"not a regular expression of RE2: {problem}"
    assert caught.value.issues == (Issue(("input", "params", "pattern"), message),)


def test_grep_refuses_patterns_that_take_long_to_read() -> None:
    with pytest.raises(InputError, match=r"has 33 repetition counts and Unicode classes, .* 32"):
        grep.PROGRAM.parse_params({"pattern": r"\pL" * 32 + "a{2}"})


@pytest.mark.parametrize("params", [{}, {"pattern": "("}, {"pattern": "a", "more": 1}])
def test_grep_refuses_what_is_no_expression(params: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        grep.PROGRAM.parse_params(params)
