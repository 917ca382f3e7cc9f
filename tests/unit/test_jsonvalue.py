"""Which values travel, as which bytes, and what is refused."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OutputError
from engine.jsonvalue import (
    decode,
    decode_exactly,
    decode_given,
    encode,
    encode_again,
    encode_key,
    is_encodable,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@dataclass
class Point:
    x: int = 1


class Pair(NamedTuple):
    x: int = 1


class Odd(Enum):
    NAN = math.nan


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("no name")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


REFUSED: dict[str, Any] = {
    "nan": math.nan,
    "infinity": math.inf,
    "nan within": {"a": [None, math.nan]},
    "nan beside the text null": ["null", -math.inf],
    "an enum of nan": [Odd.NAN],
    "bytes": b"a",
    "a set": {1},
    "a datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "a date": date(2026, 1, 1),
    "a dataclass": Point(),
    "a named tuple": Pair(),
    "a decimal": Decimal(1),
    "a complex number": 1j,
    "too large an integer": 2**64,
    "too small an integer": -(2**63) - 1,
    "a lone surrogate": "\ud800",
    "a lone surrogate as a name": {"\udc00": 1},
    "names that are numbers": {1: 1},
    "names that are null": {None: 1},
    "an iterator": iter([1]),
    "what has no repr": Unspeakable(),
    "what is nested too deep": nested(100_000),
}


@given(value=VALUES)
def test_what_is_encoded_is_decoded_to_the_same_value_and_type(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(value)


@given(value=VALUES)
def test_it_is_json_as_others_read_it(value: Any) -> None:
    assert repr(json.loads(encode(value))) == repr(value)


@given(value=VALUES)
def test_it_never_has_a_line_break_that_ends_a_row(value: Any) -> None:
    assert b"\n" not in encode(value)


@given(value=st.dictionaries(st.text(), SCALARS))
def test_equal_keys_have_equal_bytes_whatever_the_order_of_their_parts(
    value: dict[str, Any],
) -> None:
    backwards = dict(reversed(value.items()))

    assert encode_key({"outer": backwards}) == encode_key({"outer": value})


@given(value=VALUES)
def test_the_bytes_of_a_key_are_a_fixed_point(value: Any) -> None:
    key = encode_key(value)

    assert encode_key(decode(key)) == key


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0, False), ("1", 1), (None, "null"), (0.0, -0.0)]
)
def test_different_keys_have_different_bytes(one: Any, other: Any) -> None:
    assert encode_key(one) != encode_key(other)


def test_tuples_are_lists() -> None:
    assert encode_key((1, ("a",))) == encode_key([1, ["a"]])


@pytest.mark.parametrize("kind", [Counter, OrderedDict, dict])
def test_every_kind_of_dict_is_an_object(kind: type) -> None:
    assert encode(kind({"a": 1})) == b'{"a":1}'
    assert encode(defaultdict(list, a=[None])) == b'{"a":[null]}'


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("within", [False, True], ids=["alone", "within"])
def test_what_json_cannot_hold_is_refused(bad: Any, within: bool) -> None:
    value = {"a": [bad]} if within else bad

    for function in (encode, encode_key):
        with pytest.raises(OutputError, match="JSON cannot hold") as caught:
            function(value)
        assert len(caught.value.message) < 400


def test_nulls_are_kept() -> None:
    assert encode(None) == b"null"
    assert encode([None, "null", {"null": None}]) == b'[null,"null",{"null":null}]'


LONG = b'[{"sum":46116860184273879035,"price":123456789012345678.91,"least":-9223372036854775809}]'


def test_numbers_keep_their_digits_on_their_way_through() -> None:
    assert encode_again(decode_exactly(LONG)) == LONG
    assert encode(decode_exactly(b"[1e400,0.30000000000000004]")) == b"[1e400,0.30000000000000004]"


@given(
    st.lists(st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False))
)
def test_what_python_can_hold_is_decoded_as_what_it_is(numbers: list[float]) -> None:
    assert decode_exactly(encode(numbers)) == numbers


@pytest.mark.parametrize(
    "text",
    [
        '["1234567890123456789012","\\"1234567890123456789012\\\\",18446744073709551615]',
        "[1234567890123456789012.5,0.1234567890123456789012,12345678901234567890e3]",
        '{"a":-9223372036854775808,"1234567890123456789012":1e-0000000000000000000012}',
    ],
)
def test_what_is_given_is_taken_as_it_is(text: str) -> None:
    assert decode_given(text) == decode_given(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a":36893488147419103232}', "36893488147419103232"),
        ("[18446744073709551616]", "18446744073709551616"),
        ('["a",-9223372036854775809 ]', "-9223372036854775809"),
        ("1" * 300, "1" * 40 + "…"),
    ],
)
def test_an_integer_that_would_become_another_is_refused(text: str, shown: str) -> None:
    with pytest.raises(ValueError, match=f"{shown} has more than 64 bits"):
        decode_given(text)


def test_what_is_too_long_or_too_deep_for_python_goes_through_or_is_told() -> None:
    endless = b"[" + b"9" * 5_000 + b"]"
    assert encode_again(decode_exactly(endless)) == endless
    assert is_encodable(endless)
    assert not is_encodable(b"[" * 400 + b"1" + b"]" * 400)
    assert not is_encodable(b"[" * 2_000 + b"]" * 2_000)


@pytest.mark.parametrize("bad", ["", "NaN", "[1", '"\\ud800"', "9" * 5_000, "[" * 2_000], ids=repr)
def test_what_is_no_json_is_a_value_error(bad: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of every decoder
        decode_given(bad)
