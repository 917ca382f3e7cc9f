"""Columns of rows, and lines of JSON Lines."""

from __future__ import annotations

from collections import Counter, OrderedDict
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rows import Columns, columns_of, decode_lines, merge_columns

VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
ROWS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=4))


class Colour(StrEnum):
    RED = "red"


def columns(rows: list[dict[str, Any]]) -> Columns:
    return columns_of((name, type(value)) for row in rows for name, value in row.items())


@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"))))
def test_lines_are_cut_as_they_were_joined(lines: list[str]) -> None:
    expected = [line.encode() for line in lines]

    assert decode_lines(b"".join(line + b"\n" for line in expected)) == expected


@given(rows=ROWS)
def test_every_name_is_a_column_once_in_the_order_of_first_sight(
    rows: list[dict[str, Any]],
) -> None:
    names = [name for name, _ in columns(rows)]

    assert names == list(dict.fromkeys(name for row in rows for name in row))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a"], "string"),
        ([True], "boolean"),
        ([1], "integer"),
        ([1.5], "number"),
        ([1, 1.5], "number"),
        ([1, None, 2.5], "number"),
        ([{}], "object"),
        ([OrderedDict(a=1)], "object"),
        ([Counter("a")], "object"),
        ([[]], "array"),
        ([()], "array"),
        ([[], ()], "array"),
        ([None], "null"),
        ([None, "a"], "string"),
        ([Colour.RED], "string"),
        ([1, "a"], "json"),
        ([True, 1], "json"),
        ([{}, []], "json"),
    ],
)
def test_a_column_has_the_type_of_its_values(values: list[Any], kind: str) -> None:
    assert columns([{"c": value} for value in values]) == (("c", kind),)
    assert merge_columns(columns([{"c": v}])[0] for v in values) == (("c", kind),)


def test_no_bytes_are_no_lines() -> None:
    assert decode_lines(b"") == []


def test_a_last_line_without_an_end_is_a_line() -> None:
    assert decode_lines(b"1\n2") == [b"1", b"2"]
