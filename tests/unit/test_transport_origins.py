"""Pages of our own may call, and those that were allowed; no others."""

from __future__ import annotations

import pytest

from transport.origins import Origins

ORIGINS = Origins(["https://console.example/"])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "localhost:8000"),
        (None, None),
        ("http://localhost:8000", "localhost:8000"),
        ("http://LOCALHOST:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://fanfold.example", "fanfold.example"),
        ("https://fanfold.example", "fanfold.example:443"),
        ("http://fanfold.example:80", "fanfold.example"),
        ("https://console.example", "fanfold.example"),
    ],
)
def test_these_may_call(origin: str | None, host: str | None) -> None:
    assert ORIGINS.allow(origin, host=host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "localhost:8000"),
        ("", "localhost:8000"),
        ("http://localhost:8001", "localhost:8000"),
        ("http://localhost", "localhost:8000"),
        ("http://localhost:8000.evil.example", "localhost:8000"),
        ("http://evil.example", None),
        ("file://localhost:8000", "localhost:8000"),
        ("http://[", "["),
        ("https://console.example.evil.example", "fanfold.example"),
        ("http://console.example", "fanfold.example"),
    ],
)
def test_these_may_not(origin: str | None, host: str | None) -> None:
    assert not ORIGINS.allow(origin, host=host)
