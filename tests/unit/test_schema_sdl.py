"""The committed SDL files are those of the code."""

from __future__ import annotations

from pathlib import Path

from schema.appsync import appsync_sdl
from schema.sdl import served_sdl

SCHEMA = Path(__file__).parents[2] / "schema"


def check(name: str, current: str, *, renew: str) -> None:
    committed = (SCHEMA / name).read_text()
    assert committed == current, f"schema/{name} is out of date; renew it with: {renew}"


def test_the_committed_sdl_is_what_is_served() -> None:
    check("schema.graphql", served_sdl(), renew="fanfold schema > schema/schema.graphql")


def test_the_committed_appsync_sdl_is_derived_from_it() -> None:
    check(
        "appsync.graphql",
        appsync_sdl(served_sdl()),
        renew="fanfold schema --appsync > schema/appsync.graphql",
    )
