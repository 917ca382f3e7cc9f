"""Like ``drive.mjs``, with gql."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys

from tests.clients.gql_client import Service


def tell(**event: object) -> None:
    print(json.dumps(event), flush=True)  # noqa: T201 - this is how it tells


async def main(url: str, job: str) -> None:
    logging.getLogger("gql").setLevel(logging.ERROR)
    service = Service(url, os.environ.get("FANFOLD_TOKEN"))
    submitted = await service.submit(json.loads(job))
    tell(job=submitted)
    async for status in service.follow(submitted):
        tell(status=status)
    tell(rows=await service.read(submitted))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
