"""How far a run came that ended without a result, as callers find it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx

from tests.support.client import Api

WRITTEN_WITHIN_S: Final = 20.0
REPORT: Final = """
query Report($id: ID!) {
  job(id: $id) { report { manifest { name url } listings { name url } } }
}
"""


async def report_of(api: Api, job: str) -> dict[str, Any]:
    """Return a job's report as soon as it has one: what is in each file, by its name."""
    async with asyncio.timeout(WRITTEN_WITHIN_S):
        while (report := await told_of(api, job)) is None:
            pass
    async with httpx.AsyncClient(trust_env=False) as http:
        return {
            file["name"]: (await http.get(file["url"])).raise_for_status().json()
            for file in (report["manifest"], *report["listings"])
        }


async def told_of(api: Api, job: str) -> dict[str, Any] | None:
    """Return what a job says of its report now."""
    report: dict[str, Any] | None = (await api.ask(REPORT, id=job))["job"]["report"]
    return report
