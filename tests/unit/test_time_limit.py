"""The time limit within a process: what runs too long is interrupted, whatever it catches."""

import time

import pytest

from engine.errors import TaskTimeoutError
from workers.time_limit import time_limit


def test_what_runs_too_long_is_interrupted_although_it_catches_everything_usual() -> None:
    def stubborn() -> None:
        while True:
            try:
                time.monotonic()
            except Exception:  # noqa: BLE001, S112 - as programs do
                continue

    with (
        pytest.raises(TaskTimeoutError, match=r"map-3 ran longer than 0.05 s"),
        time_limit(0.05, of="map-3"),
    ):
        stubborn()


def test_what_ends_in_time_is_left_alone() -> None:
    with time_limit(30, of="map-3"):
        pass
    with time_limit(None, of="map-3"):
        pass
