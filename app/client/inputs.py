"""From words of the command line to a SubmitJobInput. Pure; refuses with ValueError."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

STDIN = "-"
_TOLERANCE = re.compile(r"(?P<percentage>\d+(?:\.\d+)?)%|(?P<count>\d+)", re.ASCII)
_MISSING = "Missing argument '{}'; 'fanfold submit --help' tells more"


def parse_params(words: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` words; a value that is not JSON is taken as text.

    Raises:
        ValueError: A word has no ``=`` or no key, or a key comes twice.
    """
    params: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ValueError(f"{word!r} is not of the form key=value")
        if key in params:
            raise ValueError(f"{key!r} is given twice")
        params[key] = _json_or_text(value)
    return params


def failure_policy(
    *, attempts: int | None, tolerate: str | None, skips_bad_items: bool
) -> dict[str, Any]:
    """Return the FailurePolicyInput, without what was left out.

    Args:
        attempts: How often a task is tried.
        tolerate: How many items may fail: a number, or a share such as ``0.5%``.
        skips_bad_items: Whether they are set aside.

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
    return policy


def tolerance(word: str) -> dict[str, Any]:
    """Return the part of an input that says how many items may fail.

    Raises:
        ValueError: *word* is neither a number nor a share such as ``0.5%``.
    """
    found = _TOLERANCE.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is neither a number of items nor a share such as 5%")
    if found["percentage"]:
        return {"toleratedFailurePercentage": float(found["percentage"])}
    return {"toleratedFailureCount": int(found["count"])}


def program_and_uris(words: Sequence[str], *, sql: str | None) -> tuple[str | None, Sequence[str]]:
    """Tell the program from the URIs; with *sql* all words are URIs.

    Raises:
        ValueError: A program or a URI is missing.
    """
    if sql is not None:
        if not words:
            raise ValueError(_MISSING.format("URI"))
        return None, words
    if len(words) < 2:
        raise ValueError(_MISSING.format("URI" if words else "PROGRAM"))
    return words[0], words[1:]


def build_input(
    *,
    source: dict[str, Any],
    params: dict[str, Any],
    name: str | None = None,
    tags: Sequence[str] = (),
    program: str | None = None,
    sql: str | None = None,
    batch_items: int | None = None,
    reducers: int | None = None,
    output_format: str | None = None,
    output_uri: str | None = None,
    max_concurrency: int | None = None,
    timeout_s: float | None = None,
    webhook: str | None = None,
    idempotency_key: str | None = None,
    failure_policy: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the input of ``submitJob``, without what was left out."""
    output = {"format": output_format, "uri": output_uri}
    job = {
        "program": program,
        "sql": sql,
        "source": source,
        "params": params,
        "name": name,
        "tags": list(tags),
        "batching": {"maxItems": batch_items} if batch_items else None,
        "reducers": reducers,
        "output": {key: value for key, value in output.items() if value},
        "maxConcurrency": max_concurrency,
        "timeoutSeconds": timeout_s,
        "webhook": webhook,
        "idempotencyKey": idempotency_key,
        "failurePolicy": failure_policy,
    }
    return {key: value for key, value in job.items() if value not in (None, "", [], {})}


def source_of(
    uris: Sequence[str], *, data_format: str | None, stdin: Iterable[str]
) -> dict[str, Any]:
    """Return the SourceInput: files, or the lines of *stdin* when the only URI is ``-``.

    Args:
        uris: As given, at least one.
        data_format: AUTO, TEXT, CSV, JSON, JSONL or PARQUET; None leaves it to the service.
        stdin: Lines with their ends, read only if asked for.

    Raises:
        ValueError: ``-`` stands beside other URIs or with a format that has no lines, or a line is
            not JSON, or no text.
    """
    if STDIN not in uris:
        files: dict[str, Any] = {"uris": list(uris)}
        return {"files": files | ({"format": data_format} if data_format else {})}
    if len(uris) > 1:
        raise ValueError(f"{STDIN!r} reads standard input and must be the only source")
    if data_format in ("CSV", "JSON", "PARQUET"):
        raise ValueError("standard input is read as lines, or with --format jsonl as JSON values")
    try:
        lines = [line.removesuffix("\n").removesuffix("\r") for line in stdin]
        "".join(lines).encode()  # bytes that are no text may come as lone surrogates
    except UnicodeError as exc:
        raise ValueError("standard input is not UTF-8") from exc
    if data_format != "JSONL":
        return {"inline": lines}
    return {"inline": [_json(line, number) for number, line in enumerate(lines, 1) if line.strip()]}


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return value


def _json(line: str, number: int) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"line {number} of standard input is not JSON: {exc}") from exc


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
