"""Which media types a caller takes, and which of ours that means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

RESPONSE_JSON: Final = "application/graphql-response+json"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"
_WILDCARDS: Final = frozenset({"*/*", "application/*"})


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the header ``Accept`` of a request comes to.

    Attributes:
        json: The kind of JSON that is wanted most; None for none.
        events: Whether event streams are taken. No wildcard says so.
        html: Whether it is a browser that shows pages.
    """

    json: str | None
    events: bool
    html: bool


@lru_cache(maxsize=64)
def acceptance_of(accept: str | None) -> Acceptance:
    """Read an ``Accept`` header; without one, plain JSON is taken.

    A wildcard means ``application/json``, which every client can read.

    Source: GraphQL over HTTP, "Accept" and "Legacy watershed".
    """
    if accept is None:
        return Acceptance(json=JSON, events=False, html=False)
    ranges = [range_ for part in accept.split(",") if (range_ := _range(part))]
    qualities = dict(reversed(ranges))
    wanted: list[tuple[float, str]] = []
    for name, quality in ranges:
        if name == RESPONSE_JSON or name == JSON:
            wanted.append((quality, name))
        elif name in _WILDCARDS and JSON not in qualities:
            wanted.append((quality, JSON))
    quality, json = max(wanted, key=lambda pair: pair[0], default=(0.0, JSON))
    return Acceptance(
        json=json if quality > 0 else None,
        events=qualities.get(EVENTS, 0.0) > 0,
        html=qualities.get(HTML, 0.0) > 0,
    )


def is_json(content_type: str | None) -> bool:
    """Return whether a body of this type may be read as JSON in UTF-8.

    No other type is taken, above all none that a form of another site could send.
    """
    if content_type is None:
        return False
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = (p.partition("=")[2].strip('" ') for p in parameters if p.startswith("charset"))
    return name == JSON and all(charset in ("utf-8", "utf8") for charset in charsets)


def _range(part: str) -> tuple[str, float] | None:
    """Return a media range with its quality; None for one that is malformed or not in UTF-8."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            return None
        if key == "q":
            try:
                quality = float(value)
            except ValueError:
                return None
    return (name, quality) if name else None
