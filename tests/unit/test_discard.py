"""What came too late is removed, and nothing that others have made."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Outcome, Piece, ResultSummary
from engine.job import JobId, TaskId
from engine.ledger import Claim
from engine.listings import Listing, ListingStatus
from engine.result import Manifest
from workers.discard import discard

FOLDER = "jobs/j-1/result"
MANIFEST = f"{FOLDER}/finish-0-a1.manifest.json"
FINISH = Claim(JobId("j-1"), TaskId("finish-0"), 1)
RESULT = Outcome(result=ResultSummary(rows=1, size_bytes=2, inline=None, manifest=MANIFEST))


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.local(tmp_path)


def test_a_piece_is_removed(blobs: ObstoreBlobs) -> None:
    claim = Claim(JobId("j-1"), TaskId("map-0"), 2)
    for name in ("map-0-a1.arrow", "map-0-a2.arrow"):
        blobs.put(f"jobs/j-1/shuffle/{name}", b"")
    piece = Piece(name="jobs/j-1/shuffle/map-0-a2.arrow", rows=0, size_bytes=0)

    discard(blobs, claim, Outcome(piece=piece))

    assert list(blobs.list("jobs")) == ["jobs/j-1/shuffle/map-0-a1.arrow"]


def test_a_result_goes_with_what_its_attempt_wrote_and_others_did_not(blobs: ObstoreBlobs) -> None:
    own = f"{FOLDER}/finish-0-a1.SUCCEEDED_0.json"
    others = [f"{FOLDER}/finish-0-a2.manifest.json", f"{FOLDER}/reduce-0-a1.jsonl"]
    manifest = Manifest(
        JobId("j-1"),
        (Piece(name=others[1], rows=1, size_bytes=2),),
        exact=True,
        facts={},
        listings=(Listing(ListingStatus.SUCCEEDED, own, entries=1, size_bytes=2, sha256=""),),
    )
    for name in (own, *others):
        blobs.put(name, b"")
    blobs.put(MANIFEST, manifest.to_bytes())

    discard(blobs, FINISH, RESULT)

    assert sorted(blobs.list("jobs")) == others


def test_what_is_gone_already_is_no_fault(blobs: ObstoreBlobs) -> None:
    discard(blobs, FINISH, RESULT)

    assert list(blobs.list("jobs")) == []
