"""Checking a submitted input, so that every problem is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from engine.catalog import Catalog
from engine.errors import InputError, Issue, OutputError, SourceError
from engine.jsonvalue import encode, encode_in_turns
from engine.program import Program, Registered
from engine.source.uri import has_wildcard
from engine.spec import MAX_INLINE_ITEMS, JobSpec, parse_spec
from resolvers.services import Limits

MAX_INLINE_BYTES: Final = 1024 * 1024
FEW_ITEMS: Final = 1_000
MAX_ISSUES: Final = 100
"""More would make the answer larger than the input."""
MAX_WILDCARD_URIS: Final = 100
"""Each costs a listing, of files that may be the same."""
URIS_PATH: Final = ("input", "source", "files", "uris")


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """An input without a problem, and the program that it names; None for a job given as SQL."""

    spec: JobSpec
    program: Registered | None

    @property
    def is_sql(self) -> bool:
        """Whether the job runs SQL, be it the caller's or a program's."""
        return not isinstance(self.program, Program)


async def check_input(
    catalog: Catalog, data: Mapping[str, Any], *also: Issue, limits: Limits
) -> CheckedInput:
    """Check an input whose names are the contract's; null means left out.

    What can be checked apart is: a wrong tag does not hide a wrong parameter.

    Args:
        catalog: The programs that may be named.
        data: The input.
        also: Problems found elsewhere, to be told together.
        limits: What this deployment does.

    Raises:
        InputError: Something is wrong; every problem is listed with its path, 100 at most.
    """
    issues = list(also)
    spec = _spec(data, issues)
    if spec is not None and len(spec.source.inline or ()) > FEW_ITEMS:
        await asyncio.sleep(0)  # others first: that took a while
    if spec is not None and spec.source.files is not None:
        issues += _wildcard_issues(spec.source.files.uris)
    program = _program(catalog, data, issues)
    await _check_size(data, issues)
    if data.get("sql") is not None and not limits.sql_enabled:
        issues.append(Issue(("input", "sql"), "SQL is off in this deployment; name a program"))
    if spec is not None and spec.runner not in (None, *limits.runners):
        message = f"this deployment runs jobs on {' and '.join(limits.runners)} alone"
        issues.append(Issue(("input", "runner"), message))
    if spec is not None:
        issues += _timeout_issues(spec.failure_policy.task_timeout_seconds, limits.max_task_s)
    if issues or spec is None:
        raise InputError(*dict.fromkeys(issues[:MAX_ISSUES]))
    runner = spec.runner or limits.runners[0]
    return CheckedInput(spec=spec.model_copy(update={"runner": runner}), program=program)


def unstorable(value: Any, *path: str) -> list[Issue]:
    """Return the problem of *value*, which stands at *path*, if JSON cannot hold it."""
    try:
        encode(value)
    except OutputError as exc:
        return [Issue(path, exc.message)]
    return []


def located(error: SourceError) -> SourceError:
    """Return *error* with the place in the input that it is about."""
    return SourceError(error.message, location=error.location, path=error.path or URIS_PATH)


def _spec(data: Mapping[str, Any], issues: list[Issue]) -> JobSpec | None:
    try:
        return parse_spec(_without_rest(data))
    except InputError as exc:
        issues += exc.issues
        return None


def _timeout_issues(wanted_s: float | None, max_s: int | None) -> list[Issue]:
    if wanted_s is None or max_s is None or wanted_s <= max_s:
        return []
    message = f"must be {max_s} or less in this deployment, is {wanted_s:.15g}"
    return [Issue(("input", "failurePolicy", "taskTimeoutSeconds"), message)]


def _wildcard_issues(uris: Sequence[str]) -> list[Issue]:
    count = sum(map(has_wildcard, uris))
    if count <= MAX_WILDCARD_URIS:
        return []
    message = (
        f"{count} URIs have wildcards, the limit is {MAX_WILDCARD_URIS}; "
        "name folders, files or a manifest"
    )
    return [Issue(URIS_PATH, message)]


def _without_rest(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return *data* without what follows the last wrong item that is told.

    Looking at each of a hundred thousand would hold up everybody else.
    """
    source = data.get("source")
    if not isinstance(source, Mapping):
        return dict(data)
    inline = source.get("inline")
    if not isinstance(inline, list) or len(inline) <= MAX_ISSUES:
        return dict(data)
    items = inline[:MAX_INLINE_ITEMS]
    if set(map(type, items)) <= {str, dict}:
        return dict(data)
    wrong = (at for at, item in enumerate(items) if not isinstance(item, str | dict))
    last = next(islice(wrong, MAX_ISSUES - 1, None), None)
    if last is None:
        return dict(data)
    return {**data, "source": {**source, "inline": items[: last + 1]}}


def _program(catalog: Catalog, data: Mapping[str, Any], issues: list[Issue]) -> Registered | None:
    name, params = data.get("program"), data.get("params")
    if not isinstance(name, str) or not name:
        return None
    try:
        program = catalog.require(name)
        if isinstance(params, dict | None):
            program.parse_params(params or {}, "input", "params")
    except InputError as exc:
        issues += exc.issues
        return None
    return program


async def _check_size(data: Mapping[str, Any], issues: list[Issue]) -> None:
    """Refuse what JSON, and so the store, cannot hold, and more inline items than it should."""
    source = data.get("source")
    inline = source.get("inline") if isinstance(source, Mapping) else None
    size_bytes = await _look_at(inline, issues, "input", "source", "inline")
    if size_bytes > MAX_INLINE_BYTES:
        message = f"the items have {size_bytes} bytes as JSON, the limit is {MAX_INLINE_BYTES}"
        issues.append(Issue(("input", "source", "inline"), message))
    await _look_at(_without(data, "source"), issues, "input")
    rest = _without(source, "inline") if isinstance(source, Mapping) else source
    await _look_at(rest, issues, "input", "source")


async def _look_at(value: Any, issues: list[Issue], *path: str) -> int:
    """Return how many bytes *value* has as JSON, giving way to others if these are many."""
    try:
        return len(await encode_in_turns(value))
    except OutputError as exc:
        issues.append(Issue(path, exc.message))
        return 0


def _without(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}
