"""``GET /files/<token>``: result files, when the blob store has no addresses of its own to give.

Whoever has the token may read that one file until the token expires. Every bad token gets the same
answer, so that nobody learns what exists.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from engine.blobs import BlobStore
from engine.errors import NotFoundError, UnavailableError
from engine.output.suffix import content_type_of
from engine.signing import Grant, Signer
from resolvers.results import PATH

CHUNK_BYTES: Final = 1024 * 1024

_HEADERS: Final = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def download_route(blobs: BlobStore, signer: Signer) -> Route:
    """Return the route.

    Args:
        blobs: Where the files are.
        signer: Knows the tokens that a result's files are given out with.
    """
    files = _Files(blobs, signer)
    return Route(f"{PATH}{{token}}", files.get, methods=["GET"])  # and HEAD, says Starlette


class _Files:
    def __init__(self, blobs: BlobStore, signer: Signer) -> None:
        self._blobs = blobs
        self._signer = signer

    async def get(self, request: Request) -> Response:
        token = request.path_params["token"]
        grant = self._signer.verify(token, method="GET", now_s=time.time())
        if grant is None:
            return _answer(403, "this address is not valid, or has expired")
        try:
            size_bytes = await asyncio.to_thread(self._blobs.size, grant.name)
        except NotFoundError:
            return _answer(410, "the file has been erased")
        except UnavailableError as exc:
            return _answer(503, exc.message)
        return self._file(grant, size_bytes)

    def _file(self, grant: Grant, size_bytes: int) -> Response:
        name, shown = grant.name, grant.shown or grant.name.rpartition("/")[2]
        path = self._blobs.local_path(name)
        if path is not None:
            return FileResponse(
                path,
                filename=shown,
                media_type=content_type_of(name),
                headers=_HEADERS,
            )
        headers = {
            **_HEADERS,
            "Content-Disposition": f'attachment; filename="{shown}"',
            "Content-Length": str(size_bytes),
        }
        chunks = self._chunks(name, size_bytes)
        return StreamingResponse(chunks, media_type=content_type_of(name), headers=headers)

    async def _chunks(self, name: str, size_bytes: int) -> AsyncIterator[bytes]:
        for start in range(0, size_bytes, CHUNK_BYTES):
            end = min(size_bytes, start + CHUNK_BYTES)
            yield await asyncio.to_thread(self._blobs.read, name, start=start, end=end)


def _answer(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status, headers=_HEADERS)
