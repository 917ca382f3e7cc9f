"""The fast way of reading CSV gives what the csv module gives, or nothing."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.source.chunk import Chunk
from engine.source.csv_arrow import read_plain_table

COLUMNS = ("a", "b")


def fast(text: str, delimiter: str = ",") -> list[dict[str, str]] | None:
    table = read_plain_table(Chunk("a.csv", 0, text.encode()), COLUMNS, delimiter=delimiter)
    return None if table is None else table.to_pylist()


def exact(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows if row]


fields = (
    st.text("aé \t'\\#;", max_size=4)
    | st.sampled_from(["NULL", "NaN", "null", "1", "007", "1e5", "true", "2026-01-01", "\x0b"])
    | st.text('a,"\r\n', max_size=5).map(lambda text: '"' + text.replace('"', '""') + '"')
)
rows = st.lists(st.tuples(fields, fields, st.sampled_from(["\n", "\r\n", "\n\n"])))


@given(rows)
def test_legal_rows_are_those_of_the_csv_module(parts: list[tuple[str, str, str]]) -> None:
    text = "".join(f"{first},{second}{end}" for first, second, end in parts)

    assert fast(text) in (None, exact(text))


@given(st.text('ab,"\r\n\x00\ufeff', max_size=40))
def test_what_it_reads_of_any_text_is_right(text: str) -> None:
    found = fast(text)

    assert found is None or found == exact(text)


@pytest.mark.parametrize(
    "text",
    ["1,2\n3,4", "1,2\r\n\r\n3,4\r\n", '"a,b","say ""x"""\n', '"a\nb","c\r\nd"\n', ",\n", '"",x\n'],
)
def test_plain_rows_are_read_fast(text: str) -> None:
    assert fast(text) == exact(text)


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", "'", "\\"])
def test_other_delimiters_are_read_too(delimiter: str) -> None:
    text = f'1{delimiter}2\n"x{delimiter}y"{delimiter}\n'

    assert fast(text, delimiter) == exact(text, delimiter)


@pytest.mark.parametrize("text", ["1\n", "1,2,3\n", '1,"2\n', 'a"b,c\n', '"a"b,c\n', "1,2\r3,4\n"])
def test_anything_else_is_left_to_the_csv_module(text: str) -> None:
    assert fast(text) is None


def test_what_is_not_utf_8_is_left_to_the_csv_module() -> None:
    chunk = Chunk("a.csv", 0, b"1,\xff\n")

    assert read_plain_table(chunk, COLUMNS, delimiter=",") is None
