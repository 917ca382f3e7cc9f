"""Batches and reducers, chosen from the source and the spec alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError, RecordError
from engine.plan import (
    BYTES_PER_REDUCER,
    INLINE_ITEMS_PER_BATCH,
    MAX_BATCHES,
    MAX_DEFAULT_REDUCERS,
    MAX_LARGE_BYTES,
    Grain,
    default_reducers,
    large_batches,
    plan_batches,
    plan_files,
    plan_inline,
)
from engine.source.sources import Sources
from engine.spec import MAX_INLINE_ITEMS, JobSpec, parse_spec


def inline(items: list[Any], **spec: Any) -> JobSpec:
    return parse_spec({"program": "p", "source": {"inline": items}, **spec})


def files(**spec: Any) -> JobSpec:
    return parse_spec({"program": "p", "source": {"files": {"uris": ["*.txt"]}}, **spec})


@given(count=st.integers(0, 50), max_items=st.none() | st.integers(1, 60))
def test_inline_batches_have_every_item_once_in_order(count: int, max_items: int | None) -> None:
    items = [f"item {number}" for number in range(count)]

    plan = plan_inline(inline(items, batching={"maxItems": max_items}), is_map_only=False)

    assert [item for batch in plan.batches for item in batch.items or ()] == items
    assert all([items[batch.first_item]] == list(batch.items or ())[:1] for batch in plan.batches)
    assert all(0 < batch.known_items <= (max_items or count) for batch in plan.batches)
    assert plan.items == count


def test_inline_items_are_a_thousand_to_a_batch_unless_said_otherwise() -> None:
    plan = plan_inline(inline(["a"] * (INLINE_ITEMS_PER_BATCH + 1)), is_map_only=False)

    assert [batch.known_items for batch in plan.batches] == [INLINE_ITEMS_PER_BATCH, 1]
    assert plan.reducers == 1


@pytest.mark.parametrize("reducers", [None, 5])
def test_a_map_only_job_has_no_reducers(tmp_path: Path, reducers: int | None) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    sources = Sources.local(tmp_path)

    assert plan_inline(inline(["a"], reducers=reducers), is_map_only=True).reducers == 0
    assert plan_files(files(reducers=reducers), sources, is_map_only=True).reducers == 0


def test_the_caller_may_choose_the_reducers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")

    assert plan_inline(inline(["a"], reducers=7), is_map_only=False).reducers == 7
    plan = plan_files(files(reducers=7), Sources.local(tmp_path), is_map_only=False)
    assert plan.reducers == 7


def test_the_slices_of_files_add_up_to_them(tmp_path: Path) -> None:
    for name, lines in (("a", 100), ("b", 1), ("empty", 0)):
        (tmp_path / f"{name}.txt").write_text("some line\n" * lines)

    plan = plan_files(files(batching={"maxBytes": 64}), Sources.local(tmp_path), is_map_only=False)

    assert plan.size_bytes == 1_010
    assert sum(batch.size_bytes for batch in plan.batches) == 1_010
    assert len(plan.batches) > 10
    assert plan.items is None


def test_a_plan_is_the_same_every_time(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("line\n" * number)
    sources = Sources.local(tmp_path)
    spec = files(batching={"maxBytes": 50})

    assert plan_files(spec, sources, is_map_only=False) == plan_files(
        spec, sources, is_map_only=False
    )


def test_a_source_of_another_kind_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no files"):
        plan_files(inline(["a"]), Sources.local(), is_map_only=False)


@given(size_bytes=st.integers(0, 2**50))
def test_reducers_grow_with_the_source_within_limits(size_bytes: int) -> None:
    reducers = default_reducers(size_bytes)

    assert 1 <= reducers <= MAX_DEFAULT_REDUCERS
    assert reducers <= default_reducers(size_bytes + BYTES_PER_REDUCER)


@pytest.mark.parametrize("name", ["maxItems", "maxBytes"])
def test_more_batches_than_a_job_may_have_are_refused(tmp_path: Path, name: str) -> None:
    path, sources = tmp_path / "a.txt", Sources.local(tmp_path)
    path.write_text("\n" * MAX_BATCHES)
    spec = files(batching={name: 1})
    assert len(plan_files(spec, sources, is_map_only=True).batches) == MAX_BATCHES

    path.write_text("\n" * (MAX_BATCHES + 1))
    with pytest.raises(InputError, match="more than 100000 batches, the limit; raise") as caught:
        plan_files(spec, sources, is_map_only=True)

    assert [issue.path for issue in caught.value.issues] == [("input", "batching", name)]
    assert not caught.value.retryable


def test_inline_items_are_never_too_many_batches() -> None:
    spec = inline(["a"] * MAX_INLINE_ITEMS, batching={"maxItems": 1})

    assert len(plan_inline(spec, is_map_only=True).batches) == MAX_INLINE_ITEMS <= MAX_BATCHES


# ------------------------------------------------------------------ large batches

MIB = 1024 * 1024


@given(
    total_bytes=st.integers(0, 2**45), workers=st.integers(1, 64), at_least=st.sampled_from([1, 16])
)
def test_large_batches_are_a_multiple_of_the_workers_and_of_1_to_512_mib(
    total_bytes: int, workers: int, at_least: int
) -> None:
    count = large_batches(total_bytes, workers=workers, at_least=at_least)

    assert total_bytes <= count * MAX_LARGE_BYTES
    assert count == 1 or total_bytes >= count * MIB
    if count % workers or count < at_least:
        assert total_bytes < (count + 1) * MIB
    elif count > workers:
        assert total_bytes > (count - workers) * MAX_LARGE_BYTES or count - workers < at_least


def sized(tmp_path: Path, *sizes: int) -> Sources:
    for number, size in enumerate(sizes):
        (tmp_path / f"{number:03}.txt").write_bytes(
            b"x" * 63 + b"\n" + b"some line\n" * (size // 10)
        )
    return Sources.local(tmp_path)


def test_a_large_plan_has_a_batch_for_each_worker_and_no_more(tmp_path: Path) -> None:
    sources = sized(tmp_path, 5 * MIB, 100_000, 3 * MIB, 200_000)

    plan = plan_files(files(), sources, is_map_only=False, workers=4, grain=Grain.LARGEST)

    assert len(plan.batches) == 4
    sizes = [batch.size_bytes for batch in plan.batches]
    assert sum(sizes) == plan.size_bytes
    assert max(sizes) - min(sizes) < 200_000


def test_a_small_source_is_one_large_batch(tmp_path: Path) -> None:
    plan = plan_files(
        files(), sized(tmp_path, 1000, 1000), is_map_only=False, workers=8, grain=Grain.LARGEST
    )

    assert len(plan.batches) == 1


@pytest.mark.parametrize("grain", list(Grain))
@pytest.mark.parametrize(("mib", "at_least", "at_most"), [(15, 2, 9), (17, 16, 18)])
def test_a_job_that_is_followed_has_more_batches(
    tmp_path: Path, grain: Grain, mib: int, at_least: int, at_most: int
) -> None:
    sources = sized(tmp_path, mib * MIB)

    plan = plan_files(files(partialEveryMs=500), sources, is_map_only=False, workers=2, grain=grain)

    assert at_least <= len(plan.batches) <= at_most


def test_limits_of_the_caller_hold_for_large_plans_too(tmp_path: Path) -> None:
    sources = sized(tmp_path, 3 * MIB)
    spec = files(batching={"maxBytes": MIB})

    plan = plan_files(spec, sources, is_map_only=False, workers=1, grain=Grain.LARGEST)

    assert [batch.size_bytes <= MIB for batch in plan.batches] == [True] * 4


def test_nothing_to_read_gives_no_batch(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()

    for grain in Grain:
        plan = plan_files(files(), Sources.local(tmp_path), is_map_only=False, grain=grain)
        assert plan.batches == ()


# ------------------------------------------------------------------ listings and laziness


def objects(**spec: Any) -> JobSpec:
    source = {"files": {"uris": ["*.txt"], "mode": "OBJECTS"}}
    return parse_spec({"program": "p", "source": source, **spec})


def test_a_listing_is_mapped_entry_by_entry_without_reading_the_files(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("x" * number)

    spec = objects(batching={"maxItems": 2})
    plan = plan_files(spec, Sources.local(tmp_path), is_map_only=False)

    assert [[item["uri"] for item in batch.items or ()] for batch in plan.batches] == [
        ["0.txt", "1.txt"], ["2.txt", "3.txt"], ["4.txt"],
    ]  # fmt: skip
    assert (plan.items, plan.size_bytes, plan.reducers) == (5, 0, 1)


def test_batches_with_limits_come_as_they_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("line\n" * 1000)
    batches = plan_batches(files(batching={"maxItems": 1}), Sources.local(tmp_path))

    first, second = next(batches), next(batches)

    assert (first.size_bytes, second.size_bytes) == (5, 5)
    assert second.slices[0].start == 5


def test_a_format_that_is_declared_for_every_file_is_checked_when_planning(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no parquet")
    source = {"files": {"uris": ["a.txt"], "format": "PARQUET"}}
    spec = parse_spec({"program": "p", "source": source})

    with pytest.raises(RecordError, match=r"^a\.txt: is not a Parquet file"):
        plan_files(spec, Sources.local(tmp_path), is_map_only=True)
