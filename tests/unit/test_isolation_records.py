"""Files with records that cannot be read, however they are cut: each is found at its byte.

Programs and queries read by parsers of their own, so each has its own idea of what is broken; both
leave out exactly that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.context import Context
from engine.program import Program
from tests.support.isolating import Lab, Ran


def listed(item: Any, ctx: Context) -> Iterator[Any]:
    yield item if isinstance(item, dict) else {"line": item}


def listed_table(table: Any, ctx: Context) -> Any:
    return table


LISTED = Program(name="listed", map=listed)
LISTED_TABLE = Program(name="listed_table", map_batch=listed_table, columnar=True)
READERS = [LISTED, LISTED_TABLE, "SELECT * FROM input"]

CSV_HEAD = b"k,v\n"
RECORDS = {
    "csv": (
        [b"a,1", b"b,2", b'"c\n""c""",3', b'"d\r\nd",4'],
        [b"a", b"a,1,2", b"\xff,1", b'"e\ne",1,2'],
    ),
    "jsonl": (
        [b'{"k": "a", "v": "1"}', b'{"k": "b\\n", "v": null}', b' {"v": "3"} '],
        [b"nope", b'{"k": "a"', b'{"k": "\xff"}', b"}{"],
    ),
    "txt": ([b"a", b"b b", "é".encode()], [b"\xff", b"a\xe9b", b"\x80\x80"]),
}


@dataclass(frozen=True)
class File:
    """A file as it is, and without what cannot be read."""

    suffix: str
    content: bytes
    good: bytes
    bad: list[tuple[int, bytes]]


@st.composite
def files(draw: st.DrawFn, suffix: str, ends: tuple[bytes, ...]) -> File:
    good, bad = RECORDS[suffix]
    head = CSV_HEAD if suffix == "csv" else b""
    content, clean, found = head, head, []
    # The first records tell what the columns are.
    records = [*good, *draw(st.lists(st.sampled_from([*good, *good, *bad]), max_size=30))]
    end = draw(st.sampled_from(ends))
    for record in records:
        if record in bad:
            found.append((len(content), record))
        else:
            clean += record + end
        content += record + end
    return File(suffix, content, clean, found)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"), LISTED, LISTED_TABLE)


def check(lab: Lab, reader: Program | str, file: File, batch_bytes: int) -> None:
    name = f"f.{file.suffix}"
    clean = lab.run(reader, lab.file(name, file.good), isolates=False)

    ran = lab.run(reader, lab.file(name, file.content), batching={"maxBytes": batch_bytes})

    assert ran.rows == clean.rows
    if not (isinstance(reader, str) and file.suffix == "csv"):  # there DuckDB's rows are estimated
        assert ran.items == len(clean.rows)
    assert offsets_of(ran, name) == [offset for offset, _ in file.bad]
    assert [failure.preview for failure in ran.failures] == [
        record.decode("utf-8", "replace") for _, record in file.bad
    ]


def offsets_of(ran: Ran, name: str) -> list[int]:
    return [int(place.removeprefix(f"{name}, byte ")) for place in ran.places]


@pytest.mark.parametrize("reader", READERS, ids=["map", "columnar", "sql"])
@settings(max_examples=15, deadline=None)
@given(file=files("csv", (b"\n", b"\r\n")), batch_bytes=st.sampled_from([40, 100, 10_000]))
def test_csv_rows(lab: Lab, reader: Program | str, file: File, batch_bytes: int) -> None:
    check(lab, reader, file, batch_bytes)


@pytest.mark.parametrize("reader", READERS, ids=["map", "columnar", "sql"])
@settings(max_examples=15, deadline=None)
@given(file=files("jsonl", (b"\n", b"\r\n")), batch_bytes=st.sampled_from([60, 200, 10_000]))
def test_json_lines(lab: Lab, reader: Program | str, file: File, batch_bytes: int) -> None:
    check(lab, reader, file, batch_bytes)


@pytest.mark.parametrize("reader", READERS, ids=["map", "columnar", "sql"])
@settings(max_examples=15, deadline=None)
@given(file=files("txt", (b"\n", b"\r\n")), batch_bytes=st.sampled_from([5, 20, 10_000]))
def test_lines(lab: Lab, reader: Program | str, file: File, batch_bytes: int) -> None:
    check(lab, reader, file, batch_bytes)
