"""What an input's fields are called on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_FLAGS: Final = {
    "program": "PROGRAM",
    "sql": "--sql",
    "source.files.uris": "URI",
    "source.files.format": "--format",
    "source.files.mode": "--mode",
    "source.files.itemsPointer": "--items-pointer",
    "source.files.csv.delimiter": "--csv-delimiter",
    "source.files.csv.columns": "--csv-columns",
    "source.job": "--from-job",
    "batching.maxItems": "--batch-items",
    "batching.maxBytes": "--batch-bytes",
    "maxConcurrency": "--max-concurrency",
    "reducers": "--reducers",
    "failurePolicy.maxAttempts": "--attempts",
    "failurePolicy.taskTimeoutSeconds": "--task-timeout",
    "failurePolicy.toleratedFailureCount": "--tolerate",
    "failurePolicy.toleratedFailurePercentage": "--tolerate",
    "toleratedFailureCount": "--tolerate",
    "toleratedFailurePercentage": "--tolerate",
    "output.format": "--output-format",
    "output.uri": "--output-uri",
    "partialEveryMs": "--partial-every",
    "retentionSeconds": "--retention",
    "name": "--name",
    "tags": "--tag",
    "addTags": "--add-tag",
    "removeTags": "--remove-tag",
    "idempotencyKey": "--idempotency-key",
    "timeoutSeconds": "--timeout",
    "webhook": "--webhook",
    "jobIds": "ID",
    "ttlSeconds": "--ttl",
}


def flag_of(path: Sequence[str]) -> str:
    """Return the option or word that a problem is in, such as ``--param top``.

    Args:
        path: Where the service sees it, such as ``input``, ``params``, ``top``.

    Returns:
        The path in dots where nothing on the command line is called like it; empty for the whole.
    """
    parts = list(path[1:] if path[:1] == ["input"] else path)
    if parts[:1] == ["params"]:
        return " ".join(["--param", ".".join(parts[1:])]).rstrip()
    if parts[:2] == ["source", "upload"]:
        parts[1] = "files"
    for length in range(len(parts), 0, -1):
        if flag := _FLAGS.get(".".join(parts[:length])):
            return flag
    return ".".join(parts)
