"""Ids of jobs: what new ones are like, and which ones are looked for."""

from __future__ import annotations

import re

import pytest

from engine.job import new_job_id
from resolvers.ids import job_id_from


def test_a_new_one_has_128_random_bits_and_nothing_to_escape() -> None:
    ids = [new_job_id() for _ in range(1_000)]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("j-[a-z2-7]{26}", id) for id in ids)
    assert all(job_id_from(id) == id for id in ids)
    # 26 digits of 5 bits: 128 and two that are always 0. Each other place takes every digit.
    assert all(len({id[2 + place] for id in ids}) == 32 for place in range(25))


@pytest.mark.parametrize("known", ["j-1a1fc6173b0262ee49ad2153c9ef9c9", "j-1", "a_B-9" * 12])
def test_one_of_an_earlier_form_is_looked_for(known: str) -> None:
    assert job_id_from(known) == known


@pytest.mark.parametrize("text", ["", "j 1", "j-1\n", "j-é", "../j-1", "j" * 65])
def test_what_can_be_none_is_not(text: str) -> None:
    assert job_id_from(text) is None
