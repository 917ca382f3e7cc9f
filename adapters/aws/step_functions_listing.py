"""What the Distributed Map lists in S3, as a batch: an item for each object that a job may want."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from engine.batch import Batch
from engine.entries import Entries

_NO_ITEM: Final = re.compile(r"(^|/)(\.[^/]*|__pycache__)(/|$)|/$")
"""Marks of folders, and names that are passed over wherever sources are listed."""


def batch_of(bucket: str, folder: str, listed: Sequence[dict[str, Any]]) -> Batch:
    """Return a batch of listed objects.

    Args:
        bucket: Where they are.
        folder: Prefix that was listed; names below it tell what is left out.
        listed: As ``ItemSelector`` of ``MapListing`` makes them.
    """
    wanted = [each for each in listed if not _NO_ITEM.search(each["key"][len(folder) :])]
    entries = Entries(
        uris=[f"s3://{bucket}/{each['key']}" for each in wanted],
        sizes=[int(each["size"]) for each in wanted],
        etags=[str(each["etag"]).strip('"') or None for each in wanted],
        modified_ms=[round(float(each["modified"]) * 1000) for each in wanted],
    )
    return Batch(items=entries, first_item=int(listed[0]["index"]))
