"""How a URI is taken apart."""

from __future__ import annotations

import pytest

from engine.source.uri import parse_uri, scheme_of


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("a/b.csv", ""),
        ("/a/b.csv", ""),
        ("file:///a/b.csv", ""),
        ("FILE:///a", ""),
        ("s3://bucket/key", "s3"),
        ("S3://bucket/key", "s3"),
        ("https://host/file", "https"),
        ("http://host/file", "http"),
        ("blob:name", ""),
        ("blob://name", "blob"),
        ("a/s3://b", ""),
    ],
)
def test_the_scheme_of_a_uri(uri: str, scheme: str) -> None:
    assert scheme_of(uri) == scheme


@pytest.mark.parametrize(
    ("uri", "literal", "pattern"),
    [
        ("a/b.csv", ("a", "b.csv"), ()),
        ("a/*.csv", ("a",), ("*.csv",)),
        ("a/**/b*/c", ("a",), ("**", "b*", "c")),
        ("a/", ("a",), ("**",)),
        ("a//./b", ("a", "b"), ()),
        ("a%20b", ("a%20b",), ()),
    ],
)
def test_names_before_a_wildcard_are_taken_literally(
    uri: str, literal: tuple[str, ...], pattern: tuple[str, ...]
) -> None:
    parsed = parse_uri(uri)

    assert (parsed.literal, parsed.pattern) == (literal, pattern)
