"""What the shell may offer when Tab is pressed: programs and jobs of the service.

Asked with the standard library, in a second at most, because somebody waits at every press; when
there is no answer, nothing is offered.
"""

from __future__ import annotations

import os
from typing import Any, Final

import typer

from app.commands.defaults import DEFAULT_URL

_WITHIN_S: Final = 1.0
_JOBS: Final = (
    "{ jobs(first: 50) { edges { node { id name program { name } status { state } } } } }"
)
_PROGRAMS: Final = "{ programs { name description } }"

Offer = tuple[str, str]
"""What may stand there, and a word on it."""


def complete_job(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the newest jobs."""
    edges = _ask(ctx, _JOBS).get("jobs", {}).get("edges", [])
    return [
        (job["id"], f"{job['name'] or (job['program'] or {}).get('name', 'sql')}, {state.lower()}")
        for job in (edge["node"] for edge in edges)
        if job["id"].startswith(incomplete) and (state := job["status"]["state"])
    ]


def complete_program(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the programs."""
    return [
        (program["name"], program["description"] or "")
        for program in _ask(ctx, _PROGRAMS).get("programs", [])
        if program["name"].startswith(incomplete)
    ]


def complete_words(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the programs for the first word of a job; what the service can read is its secret."""
    is_first = not ctx.params.get("words") and not ctx.params.get("sql")
    return complete_program(ctx, incomplete) if is_first else []


def _ask(ctx: typer.Context, query: str) -> dict[str, Any]:
    """Return the data of an answer, or nothing."""
    import json
    import urllib.request

    url = ctx.params.get("url") or os.environ.get("FANFOLD_URL") or DEFAULT_URL
    token = ctx.params.get("token") or os.environ.get("FANFOLD_TOKEN")
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"query": query}).encode()
    if not url.startswith(("http://", "https://")):
        return {}
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/graphql", body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_WITHIN_S) as answer:  # noqa: S310
            data: dict[str, Any] = json.load(answer)["data"] or {}
            return data
    except (OSError, ValueError, LookupError, TypeError):
        return {}
