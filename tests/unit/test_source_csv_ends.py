"""How CSV records end, and files in which they do so in several ways."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.source.csv_ends import record_ends, write_with_one_end

FIELDS = st.sampled_from(["1", "", "x", '"a\nb"', '"a\r\nb"', '"\r"', '"q"" ,"', 'in"side'])
RECORDS = st.lists(st.tuples(FIELDS, FIELDS, st.sampled_from(["\n", "\r\n", "\r"])), max_size=9)


def records(text: str) -> list[list[str]]:
    return list(csv.reader(StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("content", "lines", "kinds"),
    [
        (b"", 0, set()),
        (b"a", 1, set()),
        (b"a\nb\n", 2, {b"\n"}),
        (b"a\r\nb\r\nc", 3, {b"\r\n"}),
        (b"a\rb\r", 2, {b"\r"}),
        (b"a\nb\r\n", 2, {b"\n", b"\r\n"}),
        (b"a\r\nb\n", 2, {b"\n", b"\r\n"}),
        (b"a\r\nb\rc\n", 3, {b"\n", b"\r\n", b"\r"}),
        (b'a\n"b\r\nc"\n', 2, {b"\n"}),
        (b'"a\n1"\r\nb\r\n', 2, {b"\r\n"}),
        (b'\xef\xbb\xbf"a\n1"\r\nb\r\n', 2, {b"\r\n"}),
    ],
)
def test_quoted_line_ends_are_none_of_records(
    tmp_path: Path, content: bytes, lines: int, kinds: set[bytes]
) -> None:
    (tmp_path / "a.csv").write_bytes(content)

    found = record_ends(tmp_path / "a.csv", ",")

    assert (found.lines, set(found.kinds)) == (lines, kinds)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=RECORDS, has_bom=st.booleans())
def test_records_stay_the_same_when_all_end_alike(
    tmp_path: Path, parts: list[tuple[str, str, str]], has_bom: bool
) -> None:
    text = "".join(f"{one},{other}{end}" for one, other, end in parts)
    content = (b"\xef\xbb\xbf" if has_bom else b"") + text.encode()

    write_with_one_end(BytesIO(content), tmp_path / "a.csv", ",")

    written = (tmp_path / "a.csv").read_bytes()
    assert records(written.decode("utf-8-sig")) == records(text)
    assert written.startswith(b"\xef\xbb\xbf") is has_bom
    assert record_ends(tmp_path / "a.csv", ",").kinds <= {b"\n"}


def test_a_pair_may_lie_across_two_blocks(tmp_path: Path) -> None:
    content = b"x" * (1024 * 1024 - 1) + b"\r\ny\nz\r"
    write_with_one_end(BytesIO(content), tmp_path / "a.csv", ",")

    assert (tmp_path / "a.csv").read_bytes() == content.replace(b"\r\n", b"\n")[:-1] + b"\n"
