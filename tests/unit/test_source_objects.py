"""Listing entries as items, and how they are batched."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.source.objects import object_batches
from engine.source.roots import SourceRoots
from engine.source.sources import Sources
from engine.source.store import SourceFile
from engine.spec import BatchingSpec


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources.local(tmp_path)


def files(*sizes: int) -> list[SourceFile]:
    return [SourceFile(f"/data/{i}", size) for i, size in enumerate(sizes)]


def test_an_item_is_what_the_listing_tells(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("12345")
    sources = Sources.local(tmp_path)
    (file,) = sources.list_files(["a/b.txt"])

    (batch,) = object_batches([file], BatchingSpec(), sources)

    assert batch.items is not None
    (item,) = batch.items
    assert item.pop("lastModified").endswith("Z")
    assert item == {"uri": "a/b.txt", "key": "a/b.txt", "size": 5, "etag": file.version}


def test_an_object_has_its_key_and_its_etag_without_quotes() -> None:
    sources = Sources({"s3": SourceRoots(())})
    file = SourceFile("s3://bucket/a/b c.csv", 7, '"0f"', 1769860800123)

    (batch,) = object_batches([file], BatchingSpec(), sources)

    assert batch.items == (
        {
            "uri": "s3://bucket/a/b c.csv",
            "key": "a/b c.csv",
            "size": 7,
            "etag": "0f",
            "lastModified": "2026-01-31T12:00:00.123Z",
        },
    )


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
    sources: Sources, batching: BatchingSpec, sizes: list[int], expected: list[int]
) -> None:
    batches = list(object_batches(files(*sizes), batching, sources))

    assert [len(batch.items or ()) for batch in batches] == expected
    assert [item["size"] for batch in batches for item in batch.items or ()] == sizes
    firsts = [batch.first_item for batch in batches]
    assert firsts == [sum(expected[:i]) for i in range(len(expected))]
