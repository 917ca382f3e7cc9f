"""The small parts of a WebSocket connection."""

from __future__ import annotations

import logging

import pytest

from transport.websocket.closing import MAX_REASON_BYTES, cut
from transport.websocket.rate import TokenBucket
from transport.websocket.sampled_log import SampledLog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(per_s=20, burst=100, clock=clock)
    assert sum(bucket.take() for _ in range(200)) == 100
    clock.now += 0.5
    assert sum(bucket.take() for _ in range(200)) == 10
    clock.now += 1_000
    assert sum(bucket.take() for _ in range(200)) == 100


@pytest.mark.parametrize("reason", ["", "short", "x" * 500, "ü" * 100, "💥" * 40])
def test_a_reason_fits_into_a_close_frame(reason: str) -> None:
    found = cut(reason)
    assert len(found.encode()) <= MAX_REASON_BYTES
    assert (found == reason) == (len(reason.encode(errors="replace")) == len(found.encode()))


def test_of_many_lines_the_first_is_written_and_the_rest_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    log = SampledLog(logging.getLogger("sampled"), every_s=10, clock=clock)
    for number in range(50):
        log.warning("number %d", number)
    clock.now += 10
    log.warning("number %d", 50)
    assert [record.getMessage() for record in caplog.records] == [
        "number 0",
        "number 50 (49 more since the last line)",
    ]
