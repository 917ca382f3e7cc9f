"""From words of the command line to a SubmitJobInput.

Pure; refuses with ValueError, naming the option or word that is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from app.client.json_reading import read_given

_TOLERANCE = re.compile(r"(?P<percentage>\d+(?:\.\d+)?)%|(?P<count>\d+)", re.ASCII)
_MISSING = "Missing argument '{}'; 'fanfold submit --help' tells more"


def parse_params(words: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` words; a value that is not JSON is taken as text.

    Raises:
        ValueError: A word has no ``=`` or no key, a key comes twice, or a number is too large.
    """
    params: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ValueError(f"--param: {word!r} is not of the form key=value")
        if key in params:
            raise ValueError(f"--param: {key!r} is given twice")
        try:
            params[key] = read_given(value)
        except OverflowError as exc:
            raise ValueError(f"--param {key}: {exc}") from exc
        except ValueError:
            params[key] = value
    return params


def failure_policy(
    *,
    attempts: int | None,
    tolerate: str | None,
    skips_bad_items: bool,
    task_timeout_s: float | None = None,
) -> dict[str, Any]:
    """Return the FailurePolicyInput, without what was left out.

    Args:
        attempts: How often a task is tried.
        tolerate: How many items may fail: a number, or a share such as ``0.5%``.
        skips_bad_items: Whether they are set aside.
        task_timeout_s: Longest that one try may take.

    Raises:
        ValueError: *tolerate* is neither.
    """
    policy: dict[str, Any] = {}
    if attempts is not None:
        policy["maxAttempts"] = attempts
    if tolerate is not None:
        policy |= tolerance(tolerate)
    if skips_bad_items:
        policy["badItems"] = "SKIP"
    if task_timeout_s is not None:
        policy["taskTimeoutSeconds"] = task_timeout_s
    return policy


def tolerance(word: str) -> dict[str, Any]:
    """Return the part of an input that says how many items may fail, by either measure.

    Both are told, because each binds by itself where it is not 0.

    Raises:
        ValueError: *word* is neither a number nor a share such as ``0.5%``.
    """
    found = _TOLERANCE.fullmatch(word)
    if found is None:
        message = f"{word!r} is neither a number of items nor a share such as 5%"
        raise ValueError(f"--tolerate: {message}")
    return {
        "toleratedFailureCount": int(found["count"] or 0),
        "toleratedFailurePercentage": float(found["percentage"] or 0),
    }


def program_and_uris(
    words: Sequence[str], *, sql: str | None, has_source: bool = False
) -> tuple[str | None, Sequence[str]]:
    """Tell the program from the URIs; with *sql* all words are URIs.

    Args:
        words: As given.
        sql: The query that takes the place of a program.
        has_source: Whether there is other input, so that no URI is needed.

    Raises:
        ValueError: A program or a URI is missing.
    """
    program, uris = (words[0] if words else None, words[1:]) if sql is None else (None, words)
    if sql is None and program is None:
        raise ValueError(_MISSING.format("PROGRAM"))
    if not (uris or has_source):
        raise ValueError(_MISSING.format("URI"))
    return program, uris


def build_input(
    *,
    source: dict[str, Any],
    params: dict[str, Any],
    name: str | None = None,
    tags: Sequence[str] = (),
    program: str | None = None,
    sql: str | None = None,
    batch_items: int | None = None,
    batch_bytes: int | None = None,
    reducers: int | None = None,
    output_format: str | None = None,
    output_uri: str | None = None,
    max_concurrency: int | None = None,
    partial_every_s: float | None = None,
    timeout_s: float | None = None,
    retention_s: float | None = None,
    webhook: str | None = None,
    idempotency_key: str | None = None,
    failure_policy: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the input of ``submitJob``, without what was left out."""
    batching = {"maxItems": batch_items, "maxBytes": batch_bytes}
    output = {"format": output_format, "uri": output_uri}
    job = {
        "program": program,
        "sql": sql,
        "source": source,
        "params": params,
        "name": name,
        "tags": list(tags),
        "batching": {key: value for key, value in batching.items() if value is not None},
        "reducers": reducers,
        "output": {key: value for key, value in output.items() if value is not None},
        "maxConcurrency": max_concurrency,
        "partialEveryMs": _whole_or_none(partial_every_s, 1000),
        "timeoutSeconds": timeout_s,
        "retentionSeconds": _whole_or_none(retention_s, 1),
        "webhook": webhook,
        "idempotencyKey": idempotency_key,
        "failurePolicy": failure_policy,
    }
    return {key: value for key, value in job.items() if value not in (None, [], {})}


def whole(seconds: float, per_second: int) -> int:
    """Return a duration in whole units; one that is not 0 is one unit at least."""
    return max(round(seconds * per_second), 1) if seconds else 0


def _whole_or_none(seconds: float | None, per_second: int) -> int | None:
    return None if seconds is None else whole(seconds, per_second)
