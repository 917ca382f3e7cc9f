"""Columns in folder names."""

from __future__ import annotations

import pytest

from engine.source.hive import hive_columns


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("a.csv", {}),
        ("in/a=1.csv", {}),
        ("year=2026/month=11/a.csv", {"year": 2026, "month": 11}),
        ("s3://bucket/logs/day=2026-11-21/a.csv", {"day": "2026-11-21"}),
        ("month=07/n=-5/z=0/minus=-0/a.csv", {"month": "07", "n": -5, "z": 0, "minus": "-0"}),
        ("x=__HIVE_DEFAULT_PARTITION__/a.csv", {"x": None}),
        ("my%20key=a%2Fb%3Dc/a.csv", {"my key": "a/b=c"}),
        ("x=/a.csv", {"x": ""}),
        ("=x/plain/a.csv", {}),
        ("x=1=2/a.csv", {"x": "1=2"}),
        ("x=" + "9" * 19 + "/a.csv", {"x": "9" * 19}),
        ("x=²/a.csv", {"x": "²"}),
        ("x=1/x=2/a.csv", {"x": 1}),
        ("what?/x=1/a.csv", {"x": 1}),
    ],
)
def test_columns_are_those_of_the_folders(name: str, columns: dict[str, object]) -> None:
    assert hive_columns(name) == columns
