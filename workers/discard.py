"""Removing what an attempt has made that came too late: nobody will ever read it."""

from __future__ import annotations

from contextlib import suppress

from engine.attempt import Outcome
from engine.blobs import BlobStore
from engine.errors import NotFoundError, UnavailableError
from engine.ledger import Claim
from engine.result import Manifest


def discard(blobs: BlobStore, claim: Claim, outcome: Outcome) -> None:
    """Remove the blobs of an attempt's outcome; the job may have been tidied up already.

    A result names blobs of other attempts, too, which are another result's as well: those stay.
    """
    with suppress(UnavailableError):
        blobs.delete(_own_blobs(blobs, claim, outcome))


def _own_blobs(blobs: BlobStore, claim: Claim, outcome: Outcome) -> list[str]:
    found: list[str] = []
    if outcome.piece is not None and outcome.piece.data is None:
        found.append(outcome.piece.name)
    if outcome.result is not None:
        name = outcome.result.manifest
        own = f"/{claim.task}-a{claim.number}."
        with suppress(NotFoundError):
            named = Manifest.from_bytes(blobs.read(name)).names
            found += [each for each in named if own in each]
        found.append(name)
    return found
