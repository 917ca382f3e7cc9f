"""Listings of batches: the shape of Step Functions' ResultWriter, and nothing counted twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.attempt import Attempt
from engine.batch import Batch, FileSlice
from engine.job import ItemFailure, JobError, JobId, TaskId, TaskState
from engine.jsonvalue import encode
from engine.listing_writer import ListingWriter
from engine.listings import INCLUDED_BYTES, BatchRecord, Listing, ListingStatus
from engine.result import Manifest
from tests.support.listings import write_listings
from tests.support.memory import NOON, MemoryBlobs

Entries = list[dict[str, Any]]


def name_of(file: str) -> str:
    return f"jobs/j-1/result/finish-0-a1.{file}"


class Written:
    """What was written of some records."""

    def __init__(self, scratch: Path, records: list[BatchRecord], *failures: ItemFailure) -> None:
        self.blobs = MemoryBlobs()
        self.listings = write_listings(
            iter(records),
            iter(failures),
            job="j-1",
            machine="wordcount",
            blobs=self.blobs,
            name_of=name_of,
            scratch=scratch,
            run=2,
        )

    def entries(self, status: str) -> Entries:
        found: Entries = json.loads(self.blobs.read(name_of(f"{status}_0.json")))
        return found


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def record(index: int, state: TaskState, **more: Any) -> BatchRecord:
    return BatchRecord(task=TaskId(f"map-{index}"), state=state, **more)


def failed_item(task: str, items: int = 1) -> ItemFailure:
    error = JobError(code="USER_CODE", message="no such customer", task_id=task)
    return ItemFailure(location="a.txt, byte 7", preview='"bad"', error=error, items=items)


def inline(*items: Any) -> bytes:
    return encode(Batch(items=items).to_json())


def test_a_batch_that_succeeded_has_the_fields_of_a_child_execution(scratch: Path) -> None:
    done = record(
        3,
        TaskState.SUCCEEDED,
        batch=inline("a b", "c"),
        items=1,
        failed_items=1,
        attempts=2,
        started_at=NOON,
        finished_at=NOON,
    )

    written = Written(scratch, [done])

    assert written.entries("SUCCEEDED") == [
        {
            "ExecutionArn": "j-1/map-3",
            "Name": "map-3",
            "StateMachineArn": "wordcount",
            "RedriveCount": 1,
            "RedriveStatus": "NOT_REDRIVABLE",
            "Status": "SUCCEEDED",
            "Input": '{"items":["a b","c"],"first":0}',
            "InputDetails": {"Included": True},
            "Items": 1,
            "FailedItems": 1,
            "Attempts": 2,
            "StartDate": "2026-01-31T12:00:00.000Z",
            "StopDate": "2026-01-31T12:00:00.000Z",
            "Output": '{"items":1,"failedItems":1}',
            "OutputDetails": {"Included": True},
        }
    ]


def test_a_batch_that_failed_says_why_and_can_be_tried_again(scratch: Path) -> None:
    error = JobError(code="TASK_TIMEOUT", message="map-0 ran longer than 1 s")

    written = Written(scratch, [record(0, TaskState.FAILED, batch=inline("a"), error=error)])

    (entry,) = written.entries("FAILED")
    assert (entry["Error"], entry["Cause"]) == ("TASK_TIMEOUT", "map-0 ran longer than 1 s")
    assert (entry["Status"], entry["RedriveStatus"]) == ("FAILED", "REDRIVABLE")
    assert "Output" not in entry


def test_an_item_that_was_set_aside_is_listed_with_its_place(scratch: Path) -> None:
    done = record(1, TaskState.SUCCEEDED, items=9, failed_items=1)

    written = Written(scratch, [done], failed_item("map-1"))

    (entry,) = written.entries("FAILED")
    assert (entry["ExecutionArn"], entry["Location"]) == ("j-1/map-1", "a.txt, byte 7")
    assert (entry["Input"], entry["Items"], entry["Error"]) == ('"bad"', 1, "USER_CODE")
    assert [batch["Items"] for batch in written.entries("SUCCEEDED")] == [9]


def test_a_failure_that_stands_for_a_batch_is_listed_once(scratch: Path) -> None:
    written = Written(scratch, [record(0, TaskState.FAILED, items=4)], failed_item("map-0", 4))

    assert [entry["Items"] for entry in written.entries("FAILED")] == [4]


def test_what_has_not_ended_is_pending(scratch: Path) -> None:
    written = Written(scratch, [record(0, TaskState.PENDING), record(1, TaskState.RUNNING)])

    assert [entry["Status"] for entry in written.entries("PENDING")] == ["PENDING", "PENDING"]
    assert all("StopDate" not in entry for entry in written.entries("PENDING"))


def test_a_listing_of_nothing_is_left_out(scratch: Path) -> None:
    assert Written(scratch, []).listings == ()
    (only,) = Written(scratch, [record(0, TaskState.SUCCEEDED)]).listings
    assert (only.status, only.entries) == (ListingStatus.SUCCEEDED, 1)


@pytest.mark.parametrize(
    ("batch", "state", "is_included"),
    [
        (None, TaskState.SUCCEEDED, False),
        (inline("x" * 100), TaskState.SUCCEEDED, True),
        (inline("x" * INCLUDED_BYTES), TaskState.SUCCEEDED, False),
        (inline("x" * INCLUDED_BYTES), TaskState.FAILED, True),
        (inline("x" * INCLUDED_BYTES), TaskState.PENDING, True),
        (
            encode(Batch(slices=(FileSlice("x" * INCLUDED_BYTES, 0, 9, "v1"),)).to_json()),
            TaskState.SUCCEEDED,
            True,
        ),
    ],
)
def test_input_is_left_out_where_it_is_long_and_of_no_use(
    scratch: Path, batch: bytes | None, state: TaskState, is_included: bool
) -> None:
    (entry,) = Written(scratch, [record(0, state, batch=batch)]).entries(state)

    assert entry["InputDetails"] == {"Included": is_included}
    assert entry["Input"] == (batch.decode() if batch is not None and is_included else "")


@given(states=st.lists(st.tuples(st.sampled_from(TaskState), st.integers(0, 9)), max_size=30))
def test_items_of_all_entries_add_up(
    tmp_path_factory: pytest.TempPathFactory, states: list[tuple[TaskState, int]]
) -> None:
    records = [
        record(i, state, items=items, failed_items=i % 3 if state is TaskState.SUCCEEDED else 0)
        for i, (state, items) in enumerate(states)
    ]
    failures = [failed_item(each.task) for each in records for _ in range(each.failed_items)]

    written = Written(tmp_path_factory.mktemp("scratch"), records, *failures)

    listed = [entry["Items"] for each in written.listings for entry in written.entries(each.status)]
    assert sum(listed) == sum(each.items + each.failed_items for each in records)
    assert len(listed) == sum(each.entries for each in written.listings)


def test_size_and_digest_are_those_of_the_blob(scratch: Path) -> None:
    written = Written(scratch, [record(i, TaskState(s)) for i, s in enumerate(TaskState)])

    for listing in written.listings:
        data = written.blobs.read(listing.name)
        assert (listing.size_bytes, listing.sha256) == (len(data), sha256(data).hexdigest())


def test_pages_may_come_one_by_one(scratch: Path) -> None:
    blobs = MemoryBlobs()
    with ListingWriter(job="j-1", machine="sql", scratch=scratch) as writer:
        for index in range(3):
            writer.add_batches([record(index, TaskState.SUCCEEDED)])
        (listing,) = writer.store(blobs, name_of)

    assert (listing.file_name, listing.entries) == ("SUCCEEDED_0.json", 3)
    assert len(json.loads(blobs.read(listing.name))) == 3


def test_a_writer_that_is_given_up_leaves_nothing_behind(scratch: Path) -> None:
    with ListingWriter(job="j-1", machine="sql", scratch=scratch) as writer:
        writer.add_batches([record(0, TaskState.SUCCEEDED)])

    assert list(scratch.iterdir()) == []


def test_a_manifest_names_them_as_result_writer_does(scratch: Path) -> None:
    written = Written(scratch, [record(0, TaskState.SUCCEEDED), record(1, TaskState.FAILED)])
    manifest = Manifest(
        job="j-1", files=(), exact=False, facts={"run": 2}, listings=written.listings
    )

    data = json.loads(manifest.to_bytes())

    assert (data["DestinationBucket"], data["MapRunArn"]) == ("", "j-1")
    assert {status: len(files) for status, files in data["ResultFiles"].items()} == {
        "FAILED": 1,
        "PENDING": 0,
        "SUCCEEDED": 1,
    }
    succeeded = data["ResultFiles"]["SUCCEEDED"][0]
    assert (succeeded["Key"], succeeded["Entries"]) == (name_of("SUCCEEDED_0.json"), 1)
    assert succeeded["Size"] == len(written.blobs.read(succeeded["Key"]))
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.names == {listing.name for listing in written.listings}


def test_an_attempt_carries_them_to_its_process() -> None:
    listing = Listing(ListingStatus.FAILED, "name", entries=1, size_bytes=2, sha256="ab")
    attempt = Attempt(JobId("j-1"), TaskId("finish-0"), 1, spec={}, listings=(listing,))

    assert Attempt.from_json(json.loads(encode(attempt.to_json()))) == attempt
