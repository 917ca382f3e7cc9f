"""The custom scalars: exactly those that have a twin on AppSync."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from engine.status_json import write_instant

_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)

URL = NewType("URL", str)


def read_instant(value: Any) -> datetime:
    """Read an instant.

    Raises:
        ValueError: It is not RFC 3339 with an offset.
    """
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("give an instant such as 2026-01-31T12:00:00Z")
    return datetime.fromisoformat(value.upper())


def _as_is(value: Any) -> Any:
    return value


SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant, RFC 3339 with an offset. AppSync: AWSDateTime.",
        serialize=write_instant,
        parse_value=read_instant,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description=(
            "Any JSON value. A native value here; a JSON-encoded string on AppSync (AWSJSON)."
        ),
        serialize=_as_is,
        parse_value=_as_is,
    ),
    URL: strawberry.scalar(
        name="URL",
        description="An absolute URL. AppSync: AWSURL.",
        serialize=str,
        parse_value=str,
    ),
}

__all__ = ["JSON", "SCALARS", "URL", "read_instant", "write_instant"]
