"""The served schema as text; committed as ``schema/schema.graphql``."""

from __future__ import annotations

from schema.build import build_schema


def served_sdl() -> str:
    """Return the SDL of what is served, as ``fanfold schema`` prints it."""
    return build_schema().as_str().rstrip() + "\n"
