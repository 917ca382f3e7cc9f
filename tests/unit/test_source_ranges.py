"""A file that is read in ranges is the same stream as the file itself."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.source.ranges import FIRST_BYTES, MOST_BYTES, RangeFile

CONTENT = b"".join(b"line %d\n" % i for i in range(3000))


def far(content: bytes, fetched: list[tuple[int, int]] | None = None) -> RangeFile:
    """Return *content* as from far away, noting the ranges that are fetched."""

    def fetch(start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(content)
        if fetched is not None:
            fetched.append((start, end))
        return content[start:end]

    return RangeFile(fetch, len(content))


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 40_000)),
        st.tuples(st.just("seek"), st.integers(0, 40_000)),
        st.tuples(st.just("readline"), st.just(-1)),
    ),
    max_size=20,
)


@given(steps=_STEPS)
def test_every_step_gives_what_it_would_on_the_file(steps: list[tuple[str, int]]) -> None:
    near, distant = io.BytesIO(CONTENT), far(CONTENT)

    for name, number in steps:
        assert getattr(distant, name)(number) == getattr(near, name)(number)
        assert distant.tell() == near.tell()


def test_reading_on_fetches_more_at_a_time_and_no_byte_twice() -> None:
    content = bytes(20 * 1024 * 1024)
    fetched: list[tuple[int, int]] = []
    stream = far(content, fetched)

    while stream.read(100_000):
        pass

    lengths = [end - start for start, end in fetched]
    assert lengths[:3] == [FIRST_BYTES, 4 * FIRST_BYTES, MOST_BYTES]
    assert sum(lengths) == len(content)
    assert max(lengths) == MOST_BYTES


def test_jumping_fetches_little() -> None:
    fetched: list[tuple[int, int]] = []
    stream = far(bytes(20 * 1024 * 1024), fetched)

    for place in (10_000_000, 15_000_000, 2_000_000):
        stream.seek(place)
        stream.read(8)

    assert [end - start for start, end in fetched] == [FIRST_BYTES] * 3


def test_lines_are_read_from_what_is_at_hand() -> None:
    fetched: list[tuple[int, int]] = []

    assert list(far(CONTENT, fetched)) == CONTENT.splitlines(keepends=True)
    assert len(fetched) == 1


def test_it_is_never_written_and_goes_to_no_place_before_the_start() -> None:
    stream = far(CONTENT)

    with pytest.raises(io.UnsupportedOperation):
        stream.write(b"x")
    with pytest.raises(ValueError, match="cannot seek"):
        stream.seek(-1)
    assert stream.seek(10, io.SEEK_END) == len(CONTENT) + 10
    assert stream.read(5) == b""
