"""Which reducer owns a key: for ever the same one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jsonvalue import encode_key
from engine.partition import partitions_of

# Never to be changed: pieces written before an update are read after it, and Spark and Lambda
# must agree with arq. Columns: the owners among 2, 7, 64 and 1,000 partitions.
PINNED: list[tuple[Any, tuple[int, int, int, int]]] = [
    ("", (1, 6, 59, 347)),
    ("a", (0, 6, 30, 686)),
    ("the", (0, 3, 44, 300)),
    ("The", (0, 5, 18, 266)),
    ("é", (0, 2, 52, 252)),
    ("🙂", (1, 6, 35, 931)),
    ("a b", (0, 5, 62, 46)),
    ("1", (0, 5, 10, 986)),
    (0, (1, 4, 33, 209)),
    (1, (1, 2, 55, 583)),
    (-1, (0, 6, 42, 962)),
    (9223372036854775807, (0, 5, 30, 462)),
    (18446744073709551615, (0, 6, 26, 162)),
    (1.0, (1, 5, 53, 765)),
    (-0.0, (1, 1, 47, 871)),
    (0.1, (0, 2, 20, 828)),
    (1e300, (1, 2, 63, 799)),
    (True, (1, 5, 13, 317)),
    (False, (0, 0, 48, 840)),
    (None, (1, 4, 15, 391)),
    ([], (1, 2, 41, 457)),
    ([1], (0, 1, 56, 592)),
    ([1, "a"], (1, 3, 53, 845)),
    ([[None]], (0, 4, 14, 126)),
    ({}, (1, 3, 3, 147)),
    ({"b": 1, "a": [2]}, (0, 6, 32, 384)),
]


@pytest.mark.parametrize(("key", "owners"), PINNED, ids=lambda value: repr(value))
def test_the_owner_of_a_key_never_changes(key: Any, owners: tuple[int, ...]) -> None:
    encoded = encode_key(key)

    found = (partitions_of([encoded], partitions=n) for n in (2, 7, 64, 1_000))
    assert tuple(owner for [owner] in found) == owners


@given(keys=st.lists(st.binary()), partitions=st.integers(1, 1_000))
def test_owners_are_partitions_and_the_same_one_by_one(keys: list[bytes], partitions: int) -> None:
    owners = partitions_of(keys, partitions=partitions)

    assert [[owner] for owner in owners] == [
        partitions_of([key], partitions=partitions) for key in keys
    ]
    assert all(0 <= owner < partitions for owner in owners)


@given(key=st.binary())
def test_a_single_partition_owns_all(key: bytes) -> None:
    assert partitions_of([key], partitions=1) == [0]


def test_keys_are_spread_evenly() -> None:
    owners = partitions_of((encode_key(f"word{n}") for n in range(20_000)), partitions=20)

    sizes = [owners.count(partition) for partition in range(20)]
    assert min(sizes) > 800
    assert max(sizes) < 1_200
