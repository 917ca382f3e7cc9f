"""Rows as JSON Lines and their columns."""

from __future__ import annotations

from collections import Counter, OrderedDict
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OutputError
from engine.jsonvalue import decode
from engine.rows import as_json_array, decode_lines, encode_rows, merge_columns

VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
ROWS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=4))


class Colour(StrEnum):
    RED = "red"


@given(rows=ROWS)
def test_rows_are_lines_and_lines_are_rows(rows: list[dict[str, Any]]) -> None:
    encoded = encode_rows(rows)

    assert encoded.rows == len(rows)
    assert [decode(line) for line in decode_lines(encoded.data)] == rows
    assert decode(as_json_array([encoded.data])) == rows


@given(parts=st.lists(ROWS))
def test_files_join_to_one_array(parts: list[list[dict[str, Any]]]) -> None:
    data = [encode_rows(part).data for part in parts]

    assert decode(as_json_array(data)) == [row for part in parts for row in part]


@given(rows=ROWS)
def test_every_name_is_a_column_once_in_the_order_of_first_sight(
    rows: list[dict[str, Any]],
) -> None:
    names = [name for name, _ in encode_rows(rows).columns]

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
    encoded = encode_rows([{"c": value} for value in values])

    assert encoded.columns == (("c", kind),)
    assert merge_columns(encode_rows([{"c": v}]).columns[0] for v in values) == (("c", kind),)


def test_no_rows_are_no_bytes() -> None:
    encoded = encode_rows([])

    assert (encoded.data, encoded.rows, encoded.columns) == (b"", 0, ())
    assert decode_lines(b"") == []


def test_a_row_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(OutputError):
        encode_rows([{"a": 1}, {"a": {1}}])


def test_a_last_line_without_an_end_is_a_line() -> None:
    assert decode_lines(b"1\n2") == [b"1", b"2"]
