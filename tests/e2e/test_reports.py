"""How far a run came that ended without a result: what callers find of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.support.client import Api
from tests.support.reports import report_of, told_of
from tests.support.running import RunningService

pytestmark = pytest.mark.anyio

CANCEL: Final = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"
REDRIVE: Final = """
mutation($id: ID!, $params: JSON) {
  redriveJob(input: {id: $id, params: $params}) { __typename }
}
"""
ONE_BY_ONE: Final[dict[str, Any]] = {"batching": {"maxItems": 1}, "maxConcurrency": 1}
LINES: Final = ["a b", "c", "bad d", "e", "f g h"]


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    async with Api(service.url) as client:
        yield client


def tasks_of(listing: list[dict[str, Any]]) -> list[str]:
    return [entry["Name"] for entry in listing]


async def test_a_failed_run_lists_what_succeeded_failed_and_never_ran(api: Api) -> None:
    job = await api.submit("picky", LINES, params={"refuses": "bad"}, **ONE_BY_ONE)
    assert (await api.end_of(job))["state"] == "FAILED"
    found = await report_of(api, job)
    assert tasks_of(found["SUCCEEDED_0.json"]) == ["map-0", "map-1"]
    assert tasks_of(found["FAILED_0.json"]) == ["map-2"]
    assert tasks_of(found["PENDING_0.json"]) == ["map-3", "map-4"]
    manifest = found["manifest.json"]
    assert (manifest["state"], manifest["error"]["code"]) == ("FAILED", "USER_CODE")
    assert manifest["files"] == []
    assert [len(entries) for entries in manifest["ResultFiles"].values()] == [1, 1, 1]


async def test_a_cancelled_run_lists_what_was_left(api: Api) -> None:
    job = await api.submit("endless", LINES, **ONE_BY_ONE)
    await api.ask(CANCEL, id=job)
    assert (await api.end_of(job))["state"] == "CANCELLED"
    found = await report_of(api, job)
    assert tasks_of(found["PENDING_0.json"]) == [f"map-{index}" for index in range(len(LINES))]


async def test_a_run_that_succeeds_at_last_has_a_result_and_no_report(api: Api) -> None:
    job = await api.submit("picky", LINES, params={"refuses": "bad"}, **ONE_BY_ONE)
    await api.end_of(job)
    await report_of(api, job)
    await api.ask(REDRIVE, id=job, params={"refuses": "nothing"})
    assert (await api.end_of(job))["state"] == "SUCCEEDED"
    assert await told_of(api, job) is None
