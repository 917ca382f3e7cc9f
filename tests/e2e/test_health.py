"""Health, as balancers ask for it."""

from __future__ import annotations

import httpx
import pytest

from tests.support.running import RunningService


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_told_under_whatever_name_it_is_asked(service: RunningService, path: str) -> None:
    answer = httpx.get(f"{service.url}{path}", headers={"Host": "10.1.2.3"}, trust_env=False)
    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize("path", ["/", "/graphql", "/metrics", "/jobs/j-1", "/livez/"])
def test_nothing_else_is(service: RunningService, path: str) -> None:
    answer = httpx.get(f"{service.url}{path}", headers={"Host": "10.1.2.3"}, trust_env=False)
    assert answer.status_code == 400
