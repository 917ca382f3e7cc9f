"""Items inside JSON documents: found by pointer, read as a stream, refused with their place."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import Batch, FileSlice
from engine.errors import RecordError
from engine.source.chunk import MAX_RECORD_BYTES, Chunk
from engine.source.content import Content
from engine.source.json_document import ElementRecords
from engine.source.json_scan import JsonScanner
from engine.source.read import BatchReader
from engine.source.sources import Sources
from engine.spec import DataFormat, LayoutSpec

MIB = 1024 * 1024


class Document:
    """A JSON file and its reader."""

    def __init__(self, root: Path, content: bytes | str, pointer: str | None = None) -> None:
        path = root / "a.json"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        part = FileSlice(str(path), 0, path.stat().st_size, "", DataFormat.JSON)
        self.batch = Batch(slices=(part,))
        self.reader = BatchReader(Sources.local(root), LayoutSpec(items_pointer=pointer))

    def items(self) -> list[Any]:
        return self.reader.read(self.batch)

    def offsets(self) -> list[int]:
        count = len(self.items())
        return [self.reader.place_of(self.batch, index).offset for index in range(count)]


@pytest.mark.parametrize(
    ("content", "pointer", "items"),
    [
        ('[{"a": 1}, 2, "three", null]', None, [{"a": 1}, 2, "three", None]),
        ("\ufeff\n [1,2]\n", "", [1, 2]),
        ("[]", None, []),
        ("[ \n ]", None, []),
        ("[[]]", None, [[]]),
        ('{"a": [1]}', None, [{"a": [1]}]),
        (' "text" ', None, ["text"]),
        ("5", None, [5]),
        ('{"data": {"items": [1, 2]}, "next": null}', "/data/items", [1, 2]),
        ('{"x": {"a": [9]}, "a": [1]}', "/a", [1]),
        ('{"a": 5, "b": "a", "c": [1]}', "/c", [1]),
        ('[[1], {"a": [2, 3]}, [4]]', "/1/a", [2, 3]),
        ('{"0": [1]}', "/0", [1]),
        ('{"": [1]}', "/", [1]),
        ('{"a.b": {"item": [1]}}', "/a.b/item", [1]),
        ('{"a/b": {"m~n": [1]}}', "/a~1b/m~0n", [1]),
        ('{"\\u00e9\\"": [1]}', '/é"', [1]),
        ('{"a": "]},[{", "b\\\\": {"c": "\\"[[["}, "c": ["]", "\\\\"]}', "/c", ["]", "\\"]),
        ("[18446744073709551615, 1.5e3]", None, [18446744073709551615, 1500.0]),
    ],
)
def test_items_are_the_elements_of_the_array_or_the_document(
    tmp_path: Path, content: str, pointer: str | None, items: list[Any]
) -> None:
    assert Document(tmp_path, content, pointer).items() == items


@pytest.mark.parametrize(
    ("content", "pointer", "message"),
    [
        ('{"a": 1}', "/b", "itemsPointer '/b' leads nowhere: there is no 'b'"),
        ('{"a": []}', "/a/0", "itemsPointer '/a/0' leads nowhere: there is no '0'"),
        ("[[1]]", "/00", "itemsPointer '/00' leads nowhere"),
        ("[[1]]", "/-", "itemsPointer '/-' leads nowhere"),
        ("5", "/a", "itemsPointer '/a' leads nowhere"),
        ('{"a": {"b": 1}}', "/a", "itemsPointer '/a' leads to no array, at byte 6"),
        ("[1, nope]", None, "the record at byte 4 is not JSON"),
        ('[1, "a" 2]', None, "the record at byte 4 is not JSON"),
        ("[1,, 2]", None, "the record at byte 3 is not JSON: there is no value"),
        ("[1, 2,]", None, "is not JSON: there is no value"),
        ("[,]", None, "is not JSON"),
        ('["\xff"]'.encode("latin-1"), None, "the record at byte 1 is not JSON"),
        ("[1, 2", None, "the array at byte 0 does not end: the document is cut short"),
        ('[1, "2', None, "the array at byte 0 does not end: the document is cut short"),
        ("[1, 2}", None, "expected the end of the array that begins at byte 0"),
        ('{"a": 1', None, "the value at byte 0 does not end: the document is cut short"),
        ('{"a": [1], "b": [', "/a", "the document is cut short at byte"),
        ('{"a', "/a", "the string at byte 1 does not end: the document is cut short"),
        ('{"a": 1 "b": []}', "/b", "at byte 8: is not JSON: expected ',' or '}'"),
        ('{"a" 1, "b": []}', "/b", "expected ':'"),
        ("{a: 1}", "/a", "expected a name in quotes"),
        ("[1] [2]", None, "at byte 4: is not JSON: the document has ended before"),
        ('{"a": 1}\n{"a": 2}', None, "at byte 9: is not JSON: the document has ended before"),
        ('{"a": [1]} x', "/a", "at byte 11: is not JSON: the document has ended before"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, content: str | bytes, pointer: str | None, message: str
) -> None:
    with pytest.raises(RecordError) as caught:
        Document(tmp_path, content, pointer).items()

    assert caught.value.message.startswith("a.json: ")
    assert message in caught.value.message


def test_the_place_of_an_element_is_its_first_byte(tmp_path: Path) -> None:
    content = '\ufeff{"é": [ 1,\n [2, "é,"] ,"x"]}'

    offsets = Document(tmp_path, content, "/é").offsets()

    assert [content.encode()[offset:][:1] for offset in offsets] == [b"1", b"[", b'"']


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a\\n"é[]{},:', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('k"\\{'), inner, max_size=3)
    ),
    max_leaves=8,
)


class Trickle:
    """Bytes that come in pieces of any size but none."""

    def __init__(self, data: bytes, sizes: Sequence[int]) -> None:
        self._data = data
        self._sizes = list(sizes)

    def read(self, size: int, /) -> bytes:
        length = min(size, self._sizes.pop() if self._sizes else 1)
        data, self._data = self._data[:length], self._data[length:]
        return data


@given(json_values, st.lists(json_values, max_size=4), json_values, st.lists(st.integers(1, 9)))
def test_elements_are_found_wherever_blocks_end(
    before: Any, items: list[Any], after: Any, sizes: list[int]
) -> None:
    data = orjson.dumps({"x": before, "a": [before, items], "y": after}, option=orjson.OPT_INDENT_2)
    scanner = JsonScanner(Content("a", 0, Trickle(data, sizes)))

    assert scanner.enter("a")
    assert scanner.enter("1")
    chunks: list[Chunk] = list(scanner.elements()) if scanner.next_byte() == b"[" else []
    scanner.finish()

    assert [item for chunk in chunks for item in ElementRecords(chunk).items()] == items


def test_a_large_document_is_read_exactly(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311
    pieces = ["a", "é", '"', "\\", "[", "}", ",", "\n"]
    items = [
        {"id": n, "text": "".join(chance.choices(pieces, k=20)), "in": [n, {"n": None}]}
        for n in range(60_000)
    ]
    skipped = {"big": ["x" * 100] * 30_000, "items": [1]}
    content = orjson.dumps({"skipped": skipped, "items": items, "rest": skipped})
    assert len(content) > 10 * MIB
    document = Document(tmp_path, content, "/items")

    assert document.items() == items
    place = document.reader.place_of(document.batch, 59_999)
    assert content[place.offset :].startswith(b'{"id":59999,')


@pytest.mark.parametrize("pointer", [None, "/0"])
def test_an_element_over_the_limit_is_refused(tmp_path: Path, pointer: str | None) -> None:
    array = b'[1, "' + b"x" * (MAX_RECORD_BYTES + 10) + b'", 2]'
    content = array if pointer is None else b"[" + array + b"]"

    with pytest.raises(RecordError, match=r"the record at byte \d has at least 16\d+ bytes"):
        Document(tmp_path, content, pointer).items()


def test_a_document_over_the_limit_that_is_one_item_is_refused(tmp_path: Path) -> None:
    content = b'{"a": "' + b"x" * (MAX_RECORD_BYTES + 10) + b'"}'

    with pytest.raises(RecordError, match=r"the record at byte 0 has at least \d+ bytes"):
        Document(tmp_path, content).items()
