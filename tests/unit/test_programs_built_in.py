"""The programs that come with Fanfold."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import InlinePlace
from engine.context import Context
from engine.errors import InputError
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


@pytest.mark.parametrize("params", [{}, {"pattern": "("}, {"pattern": "a", "more": 1}])
def test_grep_refuses_what_is_no_expression(params: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        grep.PROGRAM.parse_params(params)
