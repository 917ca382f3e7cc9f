"""A plan as blobs: batches come back as they were, wherever the reading begins."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Attempt
from engine.batch import Batch, FileSlice
from engine.job import JobId, TaskId
from engine.plan_file import (
    ListedSource,
    PlanWriter,
    TaskReference,
    read_batches,
    read_references,
    tasks_of,
)

ATTEMPT = Attempt(job=JobId("j-1"), task=TaskId("plan-0"), number=2, spec={})

slices = st.builds(
    FileSlice, path=st.text(), start=st.integers(0, 2**40), end=st.integers(0, 2**40)
)
batches = st.lists(
    st.builds(Batch, slices=st.lists(slices, max_size=3).map(tuple))
    | st.builds(
        Batch, items=st.lists(st.text(), max_size=3).map(tuple), first_item=st.integers(0, 9)
    ),
    max_size=20,
)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> ObstoreBlobs:
    return ObstoreBlobs.local(tmp_path_factory.mktemp("blobs"))


@given(plan=batches, data=st.data())
def test_any_run_of_batches_comes_back_as_it_was(
    blobs: ObstoreBlobs,
    tmp_path_factory: pytest.TempPathFactory,
    plan: list[Batch],
    data: st.DataObject,
) -> None:
    with PlanWriter(tmp_path_factory.getbasetemp()) as writer:
        writer.add(plan)
        piece = writer.store(blobs, ATTEMPT)
    references = read_references(blobs, piece.name)
    start = data.draw(st.integers(0, len(plan)))
    end = data.draw(st.integers(start, len(plan)))

    found = list(read_batches(blobs, piece.name, references[start:end]))

    assert found == plan[start:end]
    assert [each.task for each in references] == [f"map-{i}" for i in range(len(plan))]
    assert [each.items for each in references] == [batch.known_items for batch in plan]
    assert piece.rows == len(plan)


def test_what_hands_tasks_out_reads_references_and_no_data(
    blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    with PlanWriter(tmp_path) as writer:
        writer.add([Batch(items=("a secret",))])
        piece = writer.store(blobs, ATTEMPT)

    read = json.loads(blobs.read(tasks_of(piece.name)))

    assert [TaskReference.from_json(each).task for each in read] == ["map-0"]
    assert "secret" not in str(read)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_others_list_is_no_plan_of_batches(
    blobs: ObstoreBlobs, tmp_path: Path
) -> None:
    listed = ListedSource("s3://bucket/in/", 100)
    with PlanWriter(tmp_path) as writer:
        batches = writer.store(blobs, ATTEMPT)

    assert ListedSource.read(blobs, listed.store(blobs, ATTEMPT).name) == listed
    assert ListedSource.read(blobs, batches.name) is None
