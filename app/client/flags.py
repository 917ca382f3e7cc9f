"""What an input's fields are called on the command line, and how their problems are told there."""

from __future__ import annotations

import re
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
_DURATIONS_MS: Final = {
    "--partial-every": 1,
    "--retention": 1_000,
    "--task-timeout": 1_000,
    "--timeout": 1_000,
    "--ttl": 1_000,
}
"""How long 1 is in the fields of these, which the service takes as plain numbers."""
_UNITS_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def problem_of(path: Sequence[str], message: str) -> str:
    """Return a problem with the option or word that it is in, durations as options take them.

    Args:
        path: Where the service sees it, such as ``input``, ``timeoutSeconds``.
        message: What it says of it, durations as plain numbers.
    """
    flag = flag_of(path)
    if one_ms := _DURATIONS_MS.get(flag):
        message = _NUMBER.sub(lambda found: _duration(float(found[0]) * one_ms), message)
    return f"{flag}: {message}" if flag else message


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


def _duration(ms: float) -> str:
    """Return a duration in the largest unit of which it is a whole number, such as ``2d``."""
    for unit, unit_ms in _UNITS_MS.items():
        if ms and ms % unit_ms == 0:
            return f"{ms / unit_ms:.0f}{unit}"
    return f"{ms:g}ms" if ms else "0"
