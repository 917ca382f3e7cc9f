"""Batches and reducers, chosen from the source and the spec alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.plan import (
    BYTES_PER_REDUCER,
    INLINE_ITEMS_PER_BATCH,
    MAX_BATCHES,
    MAX_DEFAULT_REDUCERS,
    default_reducers,
    plan_files,
    plan_inline,
)
from engine.source.roots import SourceRoots
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
    roots = SourceRoots((tmp_path,))

    assert plan_inline(inline(["a"], reducers=reducers), is_map_only=True).reducers == 0
    assert plan_files(files(reducers=reducers), roots, is_map_only=True).reducers == 0


def test_the_caller_may_choose_the_reducers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")

    assert plan_inline(inline(["a"], reducers=7), is_map_only=False).reducers == 7
    plan = plan_files(files(reducers=7), SourceRoots((tmp_path,)), is_map_only=False)
    assert plan.reducers == 7


def test_the_slices_of_files_add_up_to_them(tmp_path: Path) -> None:
    for name, lines in (("a", 100), ("b", 1), ("empty", 0)):
        (tmp_path / f"{name}.txt").write_text("some line\n" * lines)

    plan = plan_files(files(batching={"maxBytes": 64}), SourceRoots((tmp_path,)), is_map_only=False)

    assert plan.size_bytes == 1_010
    assert sum(batch.size_bytes for batch in plan.batches) == 1_010
    assert len(plan.batches) > 10
    assert plan.items is None


def test_a_plan_is_the_same_every_time(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("line\n" * number)
    roots = SourceRoots((tmp_path,))
    spec = files(batching={"maxBytes": 50})

    assert plan_files(spec, roots, is_map_only=False) == plan_files(spec, roots, is_map_only=False)


def test_a_source_of_another_kind_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no files"):
        plan_files(inline(["a"]), SourceRoots(()), is_map_only=False)


@given(size_bytes=st.integers(0, 2**50))
def test_reducers_grow_with_the_source_within_limits(size_bytes: int) -> None:
    reducers = default_reducers(size_bytes)

    assert 1 <= reducers <= MAX_DEFAULT_REDUCERS
    assert reducers <= default_reducers(size_bytes + BYTES_PER_REDUCER)


@pytest.mark.parametrize("name", ["maxItems", "maxBytes"])
def test_more_batches_than_a_job_may_have_are_refused(tmp_path: Path, name: str) -> None:
    path, roots = tmp_path / "a.txt", SourceRoots((tmp_path,))
    path.write_text("\n" * MAX_BATCHES)
    spec = files(batching={name: 1})
    assert len(plan_files(spec, roots, is_map_only=True).batches) == MAX_BATCHES

    path.write_text("\n" * (MAX_BATCHES + 1))
    with pytest.raises(InputError, match="more than 100000 batches, the limit; raise") as caught:
        plan_files(spec, roots, is_map_only=True)

    assert [issue.path for issue in caught.value.issues] == [("input", "batching", name)]
    assert not caught.value.retryable


def test_inline_items_are_never_too_many_batches() -> None:
    spec = inline(["a"] * MAX_INLINE_ITEMS, batching={"maxItems": 1})

    assert len(plan_inline(spec, is_map_only=True).batches) == MAX_INLINE_ITEMS <= MAX_BATCHES
