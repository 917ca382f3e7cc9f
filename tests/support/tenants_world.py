"""Two tenants on one real Redis, with blobs on disk, asked as every protocol asks."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from adapters.obstore.blobs import ObstoreBlobs
from adapters.redis.bell import RedisBell
from adapters.redis.client import connect
from engine.attempt import Outcome, Piece, ResultSummary
from engine.job import JobId, new_job_id
from engine.result import Manifest
from engine.source.blob_files import BlobFiles
from engine.source.roots import SourceRoots
from engine.source.sources import BLOB, LOCAL, Sources
from engine.uploads import UploadId, new_upload_id, upload_name
from resolvers.access.caller import Caller
from resolvers.live.hub import StatusHub
from resolvers.services import Services
from schema.build import build_schema
from schema.context import Context
from tests.support.house import House, house_over
from tests.support.jobs import claim_of, inline_job, outcome_of
from tests.support.memory import make_world
from tests.support.schema_walk import Place
from transport.fan_out import FanOut
from transport.group import Errors
from transport.operations import Operations, RequestError

ADA: Final = Caller(subject="ada", tenant="acme")
EVE: Final = Caller(subject="eve", tenant="other")
NAME: Final = "<the name>"
_NAMES: Final = re.compile(r"j-[a-z2-7]{26}|u-[0-9a-f]{43}")
FIRST_WITHIN_S: Final = 5.0
_OF_NO_MATTER: Final = ("expiresAt", "token", "urlExpiresAt", "url")


@dataclass
class TenantsWorld:
    """What two tenants share.

    Attributes:
        operations: As every protocol runs them.
    """

    operations: Operations
    services: Services
    hub: StatusHub
    house: House

    async def live_job(self, tenant: str) -> JobId:
        """Accept a job that nobody works on."""
        new = inline_job(tenant=tenant)
        return (await self.services.jobs.accept(new)).id

    async def ended_job(self, tenant: str) -> JobId:
        """Accept a job and bring it to its end, with a result that can be read."""
        new = inline_job(tenant=tenant)
        await self.services.jobs.accept(new)
        for task in ("map-0", "map-1", "reduce-0"):
            await self.house.do(claim_of(new.id, task), outcome_of(claim_of(new.id, task)))
        folder = f"jobs/{new.id}/result"
        data = b'{"key":"a","value":1}\n'
        piece = Piece(
            name=f"{folder}/finish-0-a1.part-0.jsonl",
            rows=1,
            size_bytes=len(data),
            sha256="0" * 64,
            columns=(("key", "text"), ("value", "integer")),
        )
        facts = {"tenant": tenant, "submittedBy": "ada", "spec": new.spec.to_json(), "run": 1}
        now_ms = int(time.time() * 1000)
        times = {f"{name}AtMs": now_ms for name in ("created", "started", "finished")}
        counts = {"items": 2, "failedItems": 0, "bytesRead": 10}
        manifest = Manifest(new.id, (piece,), exact=True, facts=facts | times | counts)
        name = f"{folder}/finish-0-a1.manifest.json"
        self.services.blobs.put(piece.name, data)
        self.services.blobs.put(name, manifest.to_bytes())
        summary = ResultSummary(
            rows=1, size_bytes=len(data), inline='[{"key":"a","value":1}]', manifest=name
        )
        await self.house.do(claim_of(new.id, "finish-0"), Outcome(result=summary))
        return new.id

    def upload(self, tenant: str) -> UploadId:
        """Send a file."""
        upload = new_upload_id(now_ms=int(time.time() * 1000))
        self.services.blobs.put(upload_name(tenant, upload, "words.txt"), b"a b\n")
        return upload

    async def ask(self, caller: Caller, document: str, **variables: Any) -> dict[str, Any]:
        """Run an operation; of a subscription the first answer."""
        context = Context(services=self.services, hub=self.hub, caller=caller, base_url="http://a")
        reader = _First()
        try:
            operation = self.operations.prepare(document)
            if operation.kind != "subscription":
                data = await self.operations.run(operation, variables, context)
                answer: dict[str, Any] = json.loads(data)
                return answer
            membership = FanOut(self.hub).join(operation, variables, context, reader)
        except RequestError as exc:
            return {"errors": list(exc.errors)}
        async with asyncio.timeout(FIRST_WITHIN_S):
            await reader.has_come.wait()
        membership.leave()
        return reader.answer

    async def answer_to(self, caller: Caller, place: Place, name: str) -> str:
        """Return what is said when *name* is named, without names and what always differs."""
        answer = await self.ask(caller, place.document, **place.naming(name))
        text = json.dumps(_without(answer), sort_keys=True)
        return _NAMES.sub(NAME, text.replace(name, NAME))


class _First:
    """Implements ``Subscriber`` for one who wants to know what comes first."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.has_come = asyncio.Event()

    def push(self, payload: bytes) -> bool:
        self._take(json.loads(payload))
        return True

    def complete(self) -> None:
        self._take({})

    def fail(self, errors: Errors) -> None:
        self._take({"errors": list(errors)})

    def _take(self, answer: dict[str, Any]) -> None:
        if not self.has_come.is_set():
            self.answer = answer
            self.has_come.set()


@asynccontextmanager
async def tenants_world(redis: Redis, url: str, folder: Path) -> AsyncIterator[TenantsWorld]:
    """Yield a world with nothing in it."""
    house = house_over(redis)
    blobs = ObstoreBlobs.local(folder / "blobs")
    (folder / "files").mkdir()
    services = replace(
        make_world().services,
        jobs=house.jobs,
        control=house.jobs,
        blobs=blobs,
        sources=Sources({LOCAL: SourceRoots((folder / "files",)), BLOB: BlobFiles(blobs)}),
    )
    subscriber = connect(url)
    async with RedisBell(subscriber) as bell, StatusHub(jobs=house.jobs, bell=bell) as hub:
        yield TenantsWorld(Operations(build_schema()), services, hub, house)
    await subscriber.aclose()


def unknown_like(name: str) -> str:
    """Return a name of the same form that nobody has."""
    return new_job_id() if name.startswith("j") else new_upload_id(now_ms=int(time.time() * 1000))


def median_ms(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds)


def _without(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: _without(inner) for key, inner in answer.items() if key not in _OF_NO_MATTER}
    return [_without(inner) for inner in answer] if isinstance(answer, list) else answer
