"""Results: pages of any size give every row once, and nobody is led astray by a cursor."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Piece
from engine.cursor import encode_cursor
from engine.errors import InputError, UnavailableError
from engine.jsonvalue import decode, encode
from engine.output.jsonl_text import READ_AHEAD_BYTES
from engine.output.write import write_rows
from engine.result import START, Cursor, Manifest, read_all, read_page
from engine.spec import DataFormat

Rows = list[dict[str, Any]]
ROW = st.dictionaries(
    st.sampled_from(["a", "b", '{"é\n']), st.integers(-(2**63), 2**63) | st.text(), max_size=3
)


class Result:
    """A result in a folder."""

    def __init__(self, folder: Path, files: list[Rows]) -> None:
        self.blobs = ObstoreBlobs.local(folder / "blobs")
        self.scratch = folder / "scratch"
        self.manifest = Manifest(
            job="j-1",
            files=tuple(self._written(f"file-{n}", rows) for n, rows in enumerate(files)),
            exact=True,
            facts={"spec": {"program": "p"}, "run": 1},
        )

    def _written(self, name: str, rows: Rows) -> Piece:
        return write_rows(
            rows, blobs=self.blobs, name=name, format=DataFormat.JSONL, scratch=self.scratch
        )

    def pages(self, sizes: Iterator[int]) -> Iterator[Rows]:
        after = START
        while True:
            page = read_page(self.blobs, self.manifest, first=next(sizes), after=after)
            yield [decode(row) for _, row in page.rows]
            if not page.has_next:
                return
            if page.rows:
                after = Cursor.parse(str(page.rows[-1][0]))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def of(result: Result, text: str, first: int = 10) -> Rows:
    page = read_page(result.blobs, result.manifest, first=first, after=Cursor.parse(text))
    return [decode(row) for _, row in page.rows]


@settings(max_examples=60)
@given(data=st.data(), files=st.lists(st.lists(ROW, max_size=6), max_size=4))
def test_pages_of_any_size_give_every_row_once_in_order(
    data: st.DataObject, files: list[Rows]
) -> None:
    expected = [row for rows in files for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        result = Result(Path(folder), files)
        sizes = iter(lambda: data.draw(st.integers(1, 5)), None)

        pages = list(result.pages(sizes))

        assert [row for page in pages for row in page] == expected
        assert list(read_all(result.blobs, result.manifest)) == expected


def test_empty_files_are_passed_over(folder: Path) -> None:
    result = Result(folder, [[], [{"a": 1}], [], [], [{"a": 2}], []])

    assert list(result.pages(iter([1, 1, 1]))) == [[{"a": 1}], [{"a": 2}]]


def test_a_result_without_files_or_rows_is_one_empty_page(folder: Path) -> None:
    nothing: tuple[list[Rows], ...] = ([], [[]])
    for files in nothing:
        page = read_page((result := Result(folder, files)).blobs, result.manifest, first=5)

        assert (page.rows, page.has_next) == ((), False)


def test_a_page_of_nothing_tells_whether_there_is_more(folder: Path) -> None:
    result = Result(folder, [[{"a": 1}]])

    assert read_page(result.blobs, result.manifest, first=0).has_next


@pytest.mark.parametrize("length", [READ_AHEAD_BYTES * n + d for n in (1, 3) for d in (-9, -8, 0)])
def test_lines_longer_than_what_is_read_at_once_are_kept_whole(folder: Path, length: int) -> None:
    rows: Rows = [{"a": "x" * length}, {"a": "short"}, {"a": "é" * length}, {"a": "end"}]
    result = Result(folder, [rows, rows])

    assert list(result.pages(iter([1] * 9))) == [[row] for row in rows + rows]


@pytest.mark.parametrize(
    "text",
    [
        *("", "?", "nonsense", "é", "\ud800"),
        *map(
            encode_cursor,
            ("1", "1:", ":1", "-1:0", "0:-1", "a:b", "0:1:2", "²:0", "1" * 9_999 + ":0"),
        ),
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a cursor") as caught:
        Cursor.parse(text)

    assert caught.value.issues[0].path == ("after",)


@given(file=st.integers(0, 2**40), offset=st.integers(0, 10**18 - 1))
def test_cursors_are_read_as_they_were_written(file: int, offset: int) -> None:
    assert Cursor.parse(str(Cursor(file, offset))) == Cursor(file, offset)


@given(text=st.text(max_size=20))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    for tampered in (text, encode_cursor(text)):
        try:
            Cursor.parse(tampered)
        except InputError:
            continue


def test_a_cursor_beyond_the_end_gives_nothing(folder: Path) -> None:
    result = Result(folder, [[{"a": 1}], [{"a": 2}]])

    assert of(result, encode_cursor("9:0")) == []
    assert of(result, encode_cursor("1:8")) == []


def test_a_cursor_into_the_middle_of_a_row_is_refused_wherever_it_points(folder: Path) -> None:
    result = Result(folder, [[{"a": {"b": 1}}, {"a": 2}]])
    size = result.manifest.size_bytes

    found = {}
    for offset in range(size + 1):
        try:
            found[offset] = of(result, encode_cursor(f"0:{offset}"))
        except InputError as exc:
            assert exc.issues[0].path == ("after",)  # noqa: PT017

    assert found == {0: [{"a": {"b": 1}}, {"a": 2}], size - 8: [{"a": 2}], size: []}


def test_a_file_that_was_cut_short_is_an_error_and_no_endless_loop(folder: Path) -> None:
    result = Result(folder, [[{"a": 1}, {"a": 2}]])
    result.blobs.put("file-0.jsonl", b'{"a":1}\n')

    with pytest.raises(UnavailableError, match="file-0"):
        list(read_all(result.blobs, result.manifest))


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    manifest = Result(folder, [[{"a": 1, "b": None}], [], [{"a": 1.5}]]).manifest

    again = Manifest.from_bytes(manifest.to_bytes())

    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes()
    assert (again.rows, again.columns) == (2, (("a", "number"), ("b", "null")))


def test_a_manifest_of_before_there_were_formats_is_read(folder: Path) -> None:
    manifest = Result(folder, [[{"a": 1}]]).manifest
    old = decode(manifest.to_bytes())
    del old["format"]

    assert Manifest.from_bytes(encode(old)) == manifest
