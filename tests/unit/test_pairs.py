"""Pieces: what is written by a map task is read by its reducers, partition by partition."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OutputError
from engine.jsonvalue import encode_key
from engine.pairs.groups import Groups
from engine.pairs.read import read_groups

KEYS = st.one_of(
    st.text(max_size=3), st.integers(-(2**63), 2**64 - 1), st.none(), st.booleans(), st.floats(0, 9)
)
SMALL = st.integers(-(2**63), 2**63 - 1)


def groups_of(pairs: list[tuple[Any, Any]]) -> Groups:
    groups = Groups()
    for key, value in pairs:
        groups.add(key, value)
    return groups


def read(*pieces: bytes) -> list[tuple[Any, list[Any]]]:
    return list(read_groups(pieces))


@given(
    pairs=st.lists(st.tuples(KEYS, SMALL | st.text(max_size=2)), max_size=20),
    partitions=st.integers(1, 70),
)
def test_cuts_cover_the_piece_and_each_part_can_be_read_alone(
    pairs: list[tuple[Any, Any]], partitions: int
) -> None:
    groups = groups_of(pairs)

    piece, cuts = groups.to_piece(partitions)

    assert groups.pairs == len(pairs)
    assert (cuts[0], cuts[-1], len(cuts)) == (0, len(piece), partitions + 1)
    assert list(cuts) == sorted(cuts)
    parts = [read(piece[start:end]) for start, end in pairwise(cuts)]
    keys = [encode_key(key) for part in parts for key, _ in part]
    assert sorted(keys) == sorted({encode_key(key) for key, _ in pairs})
    assert sum(len(values) for part in parts for _, values in part) == len(pairs)


@given(pairs=st.lists(st.tuples(KEYS, SMALL), max_size=20))
def test_the_same_pairs_give_the_same_bytes(pairs: list[tuple[Any, Any]]) -> None:
    assert groups_of(pairs).to_piece(3) == groups_of(pairs).to_piece(3)


def test_nothing_is_an_empty_piece() -> None:
    for partitions in (2, 3):
        assert Groups().to_piece(partitions) == (b"", (0,) * (partitions + 1))
    assert read() == []
    assert read(b"", b"") == []


def test_a_single_partition_of_nothing_reads_as_nothing() -> None:
    piece, cuts = Groups().to_piece(1)

    assert len(cuts) == 2
    assert read(piece) == []


def test_values_come_in_the_order_of_pieces_and_then_as_they_were_added() -> None:
    first, _ = groups_of([("b", 1), ("a", 2), ("b", 3)]).to_piece(1)
    second, _ = groups_of([("a", 4), ("b", 5), ("a", 6)]).to_piece(1)

    assert read(first, b"", second) == [("a", [2, 4, 6]), ("b", [1, 3, 5])]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "a"),
        (1, 2.5),
        ("a", None),
        (1, 2**63),
        (1.5, [1]),
        ({"b": 1, "a": 2}, 1),
        (True, 1),
        ("a", "b"),
    ],
)
def test_pieces_whose_values_are_of_different_kinds_are_joined(one: Any, other: Any) -> None:
    first, _ = groups_of([("k", one)]).to_piece(1)
    second, _ = groups_of([("k", other)]).to_piece(1)

    [(key, values)] = read(first, second)

    assert key == "k"
    assert [(type(value), value) for value in values] == [(type(one), one), (type(other), other)]


@pytest.mark.parametrize(
    ("one", "other"), [(1, "1"), (1, 1.0), (1, True), ("null", None), (2**63, 1), ([1], "[1]")]
)
def test_pieces_whose_keys_are_of_different_kinds_are_joined(one: Any, other: Any) -> None:
    first, _ = groups_of([(one, 1)]).to_piece(1)
    second, _ = groups_of([(other, 2), (one, 3)]).to_piece(1)

    found = {encode_key(key): values for key, values in read(first, second)}

    assert found == {encode_key(one): [1, 3], encode_key(other): [2]}


def test_the_parts_of_an_object_keep_their_order_in_values_and_lose_it_in_keys() -> None:
    piece, _ = groups_of([({"b": 1, "a": 2}, {"b": 1, "a": 2})]).to_piece(1)

    [(key, [value])] = read(piece)

    assert list(key) == ["a", "b"]
    assert list(value) == ["b", "a"]


def test_strings_with_zeros_and_all_of_unicode_are_kept() -> None:
    keys = ["\x00", "a\x00b", "", "é", "e\u0301", "\U0010ffff", "\ufeff", "\u2028"]

    piece, _ = groups_of([(key, key) for key in keys]).to_piece(1)

    assert read(piece) == [(key, [key]) for key in sorted(keys)]


def test_minus_zero_is_kept() -> None:
    piece, _ = groups_of([("k", -0.0), ("k", 0.0)]).to_piece(1)

    [(_, values)] = read(piece)
    assert [str(value) for value in values] == ["-0.0", "0.0"]


def test_combining_merges_only_keys_that_have_several_values() -> None:
    merged: list[tuple[Any, list[Any]]] = []

    def merge(key: Any, values: list[Any]) -> int:
        merged.append((key, list(values)))
        return sum(values)

    groups = groups_of([("a", 1), (None, 2), ("a", 3), (None, 4), ("b", 5)])
    groups.combine(merge)
    groups.combine(merge)

    assert merged == [("a", [1, 3]), (None, [2, 4])]
    assert groups.pairs == 3


def test_a_mapping_may_come_after_pairs_and_pairs_after_a_mapping() -> None:
    groups = Groups()
    groups.add_all({"a": 1, "b": 2})
    groups.add("a", 3)
    groups.add_all({"b": 4, None: 5})

    piece, _ = groups.to_piece(1)

    assert {encode_key(key): values for key, values in read(piece)} == {
        b'"a"': [1, 3],
        b'"b"': [2, 4],
        b"null": [5],
    }
    assert groups.pairs == 5


@pytest.mark.parametrize("partitions", [1, 4])
def test_integers_of_more_than_64_bits_are_refused(partitions: int) -> None:
    with pytest.raises(OutputError):
        groups_of([(2**64, 1)]).to_piece(partitions)
    with pytest.raises(OutputError):
        groups_of([("k", -(2**64))]).to_piece(partitions)


def test_a_value_is_kept_as_it_was_when_it_was_added() -> None:
    groups = Groups()
    seen: dict[str, Any] = {"n": [1]}
    groups.add("k", seen)
    groups.add("k", (seen["n"],))
    groups.add_all({"m": seen})
    seen["n"].append(2)
    groups.add("k", seen)

    piece, _ = groups.to_piece(1)

    assert read(piece) == [("k", [{"n": [1]}, [[1]], {"n": [1, 2]}]), ("m", [{"n": [1]}])]


def test_a_mapping_that_comes_first_is_kept_as_it_was_too() -> None:
    seen = {"n": 1}
    groups = Groups()
    groups.add_all({"a": 1, "m": seen})
    seen["n"] = 2

    piece, _ = groups.to_piece(1)

    assert read(piece) == [("a", [1]), ("m", [{"n": 1}])]


def test_combine_sees_values_as_reduce_does_and_its_own_again() -> None:
    groups = groups_of([("k", {"n": 1}), ("k", [2]), ("k", 3)])
    merged: list[list[Any]] = []

    def merge(key: Any, values: list[Any]) -> Any:
        merged.append(list(values))
        return {"all": values}

    groups.combine(merge)
    groups.add("k", 4)
    groups.combine(merge)

    assert merged == [[{"n": 1}, [2], 3], [{"all": [{"n": 1}, [2], 3]}, 4]]


def test_a_value_that_json_cannot_hold_is_refused_with_its_key_when_it_is_added() -> None:
    groups = Groups()

    for bad in ({1}, b"1", {"a": float("nan")}):
        with pytest.raises(OutputError, match="the value of key 'k'"):
            groups.add("k", bad)
        with pytest.raises(OutputError, match="the value of key 'k'"):
            Groups().add_all({"k": bad})
