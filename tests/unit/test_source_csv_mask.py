"""Where CSV records end, compared with the csv module itself."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.source.csv_mask import CsvMask, first_record_end

SOUP = st.text(alphabet='ab,"\r\n', max_size=60)


def record_ends(text: str, delimiter: str = ",") -> list[int]:
    """Return where the csv module ends a record, without an end that only the file's end makes."""
    position = 0

    def lines() -> Iterator[str]:
        nonlocal position
        for line in StringIO(text, newline=""):
            position += len(line)
            yield line

    ends = [position for _ in csv.reader(lines(), delimiter=delimiter)]
    return ends if _is_closed(text, delimiter) else ends[:-1]


def _is_closed(text: str, delimiter: str) -> bool:
    """Tell whether the last record ends by itself: one more line is a row of its own."""
    rows = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    with_one = list(csv.reader(StringIO(text + "x", newline=""), delimiter=delimiter))
    return len(with_one) > len(rows)


def mask_ends(masked: bytes) -> list[int]:
    return [found.end() for found in re.finditer(b"\n", masked)]


@given(SOUP)
def test_line_ends_are_exactly_the_record_ends_of_the_csv_module(text: str) -> None:
    masked = CsvMask(",").mask(text.encode())

    assert len(masked) == len(text)
    assert mask_ends(masked) == record_ends(text)


@given(SOUP, st.data())
def test_blocks_give_the_same_as_the_whole(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    allowed = [i for i in range(1, len(whole)) if whole[i - 1 : i + 1] != b"\r\n"]
    cuts = sorted(data.draw(st.sets(st.sampled_from(allowed)))) if allowed else []
    mask = CsvMask(",")

    edges = zip([0, *cuts], [*cuts, len(whole)], strict=True)
    masked = b"".join(mask.mask(whole[start:end]) for start, end in edges if end > start)

    assert masked == CsvMask(",").mask(whole)


def test_other_delimiters_start_fields_too() -> None:
    text = 'a;"b\nc";d\n1,"2;3\n'

    assert mask_ends(CsvMask(";").mask(text.encode())) == record_ends(text, ";")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a,b\n1,2\n", 4),
        ("\n\r\n\na,b\n1,2\n", 8),
        ('"a\nb",c\r\n1,2\n', 9),
        ("a,b\r1,2\r", 4),
        ("a,b", None),
        ('"a\n', None),
        ("", None),
        ("\n\n", None),
    ],
)
def test_the_first_record_ends_after_its_line_end(text: str, end: int | None) -> None:
    assert first_record_end(text.encode(), ",") == end
