from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.catalog import load_catalog
from engine.source.sources import Sources
from engine.spec import parse_spec
from engine.sql.checker import SqlCheck
from engine.sql.reduction import SAMPLED_FROM_BYTES, expected_share
from engine.sql.runtime import SqlRuntime

FILE_BYTES = 2 * 1024 * 1024
SUMS = "SELECT user, count(*) AS n, sum(amount) AS total FROM input GROUP BY user"
COUNTS_ONCE = "SELECT country, count(DISTINCT user) AS users FROM input GROUP BY country"

Asked = Callable[..., str]


@pytest.mark.parametrize("keys", [50, 5_000, 200_000, 50_000_000])
def test_the_share_of_evenly_drawn_keys_is_about_what_they_have_among_more_rows(keys: int) -> None:
    rng = random.Random(keys)  # noqa: S311 - test data
    drawn = [rng.randrange(keys) for _ in range(200_000)]
    found = expected_share(20_000, len(set(drawn[:20_000])), of=len(drawn))
    assert found == pytest.approx(len(set(drawn)) / len(drawn), rel=0.15, abs=0.01)


def test_no_rows_share_nothing_and_a_sample_without_a_repeated_key_shares_all() -> None:
    assert expected_share(0, 0, of=1_000) == 0
    assert expected_share(10, 10, of=1_000) == 1


@pytest.fixture
def map_of(tmp_path: Path) -> Asked:
    """Returns the map step of a query over a large source with so many users."""

    def asked(query: str, *, users: int, files: int = 0, partial_every_ms: int = 0) -> str:
        folder, scratch = tmp_path / "sources", tmp_path / "scratch"
        folder.mkdir()
        scratch.mkdir()
        rng = random.Random(users)  # noqa: S311 - test data
        with (folder / "0.csv").open("w") as file:
            file.write("user,country,amount\n")
            while file.tell() < FILE_BYTES:
                file.writelines(
                    f"{rng.randrange(users)},{rng.choice('ABC')},{rng.randrange(99)}\n"
                    for _ in range(1_000)
                )
        for number in range(1, files or SAMPLED_FROM_BYTES // FILE_BYTES):
            os.link(folder / "0.csv", folder / f"{number}.csv")
        runtime = SqlRuntime(
            catalog=load_catalog(()),
            sources=Sources.local(folder),
            folders=[folder],
            scratch=scratch,
        )
        spec = parse_spec(
            {
                "sql": query,
                "source": {"files": {"uris": ["*.csv"]}},
                "partialEveryMs": partial_every_ms,
            }
        )
        found: str = runtime.check(SqlCheck(spec.to_json())).job["steps"]["map"]
        return found

    return asked


def test_groups_of_keys_that_hardly_repeat_are_left_to_reduce(map_of: Asked) -> None:
    assert "GROUP BY" not in map_of(SUMS, users=100_000_000)


def test_groups_of_keys_that_repeat_are_made_in_map(map_of: Asked) -> None:
    assert "GROUP BY" in map_of(SUMS, users=1_000)


def test_values_that_hardly_repeat_are_counted_once_in_reduce_alone(map_of: Asked) -> None:
    assert "DISTINCT" not in map_of(COUNTS_ONCE, users=100_000_000)


def test_values_that_repeat_leave_map_once(map_of: Asked) -> None:
    assert "DISTINCT" in map_of(COUNTS_ONCE, users=1_000)


def test_a_small_source_is_not_sampled(map_of: Asked) -> None:
    assert "GROUP BY" in map_of(SUMS, users=100_000_000, files=1)


def test_answers_so_far_are_made_of_groups(map_of: Asked) -> None:
    assert "GROUP BY" in map_of(SUMS, users=100_000_000, partial_every_ms=500)
