"""Listing entries as items, and how they are batched."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import Batch
from engine.entries import Entries
from engine.jsonvalue import decode, encode
from engine.source.file import SourceFile
from engine.source.objects import entries_of, object_batches
from engine.source.roots import SourceRoots
from engine.source.sources import Sources
from engine.spec import BatchingSpec


def pages(*sizes: int, page: int = 3) -> list[Entries]:
    starts = range(0, len(sizes), page)
    return [
        Entries(
            uris=[f"data/{start + i}" for i in range(len(sizes[start : start + page]))],
            sizes=list(sizes[start : start + page]),
            etags=[None] * len(sizes[start : start + page]),
            modified_ms=[None] * len(sizes[start : start + page]),
        )
        for start in starts
    ]


def test_an_item_is_what_the_listing_tells(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("12345")
    sources = Sources.local(tmp_path)
    (file,) = sources.list_files(["a/b.txt"])

    ((item,),) = entries_of(iter([file]), sources)

    assert item.pop("lastModified").endswith("Z")
    assert item == {"uri": "a/b.txt", "key": "a/b.txt", "size": 5, "etag": file.version}


def test_an_object_has_its_key_and_its_etag_without_quotes() -> None:
    sources = Sources({"s3": SourceRoots(())})
    file = SourceFile("s3://bucket/a/b c.csv", 7, '"0f"', 1769860800123)

    (entries,) = entries_of(iter([file]), sources)

    assert list(entries) == [
        {
            "uri": "s3://bucket/a/b c.csv",
            "key": "a/b c.csv",
            "size": 7,
            "etag": "0f",
            "lastModified": "2026-01-31T12:00:00.123Z",
        },
    ]


@pytest.mark.parametrize(
    ("modified_ms", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (None, None),
    ],
)
def test_the_time_of_a_change_is_told_to_the_millisecond(
    modified_ms: int | None, expected: str | None
) -> None:
    assert Entries(["a"], [1], [None], [modified_ms])[0]["lastModified"] == expected


@given(
    st.lists(
        st.tuples(
            st.text(max_size=5).map("s3://b/".__add__),
            st.integers(0, 9),
            st.none() | st.text(max_size=3),
            st.none() | st.integers(0, 10**12),
        )
    )
)
def test_entries_are_the_same_after_a_journey(rows: list[tuple[str, int, str | None, int]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    batch = Batch(items=Entries(*columns), first_item=7)

    assert Batch.from_json(decode(encode(batch.to_json()))) == batch


@pytest.mark.parametrize(
    ("batching", "sizes", "expected"),
    [
        (BatchingSpec(), [1] * 2500, [1000, 1000, 500]),
        (BatchingSpec(max_items=2), [1, 1, 1], [2, 1]),
        (BatchingSpec(max_bytes=10), [5, 5, 1, 20, 1], [2, 1, 1, 1]),
        (BatchingSpec(max_items=2, max_bytes=10), [0, 0, 0, 11], [2, 1, 1]),
        (BatchingSpec(), [], []),
    ],
)
def test_a_batch_ends_at_whichever_limit_comes_first(
    batching: BatchingSpec, sizes: list[int], expected: list[int]
) -> None:
    batches = list(object_batches(pages(*sizes), batching))

    assert [len(batch.items or ()) for batch in batches] == expected
    items = list(chain.from_iterable(batch.items or () for batch in batches))
    assert [item["uri"] for item in items] == [f"data/{i}" for i in range(len(sizes))]
    assert [item["size"] for item in items] == sizes
    firsts = [batch.first_item for batch in batches]
    assert firsts == [sum(expected[:i]) for i in range(len(expected))]
