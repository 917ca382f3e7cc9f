"""``PUT /uploads/<token>``: where files go when the blob store takes no uploads itself.

The body goes to a temporary file and becomes a blob whole, once: a file that a job may be reading
never changes.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.blobs import BlobStore
from engine.errors import NotFoundError, UnavailableError
from engine.signing import Signer
from engine.uploads import UNFINISHED
from resolvers.uploads import PATH

MAX_BYTES: Final = 10 * 1024**3
_WRITE_BYTES: Final = 1024 * 1024


def upload_route(
    blobs: BlobStore, signer: Signer, scratch: Path, *, max_bytes: int = MAX_BYTES
) -> Route:
    """Return the route.

    Args:
        blobs: Where finished files go.
        signer: Knows the tokens that ``createUpload`` gives out.
        scratch: Folder for what is not finished, on the same disk as the blobs.
        max_bytes: Longest file.
    """
    uploads = _Uploads(blobs, signer, scratch, max_bytes)
    return Route(f"{PATH}{{token}}", uploads.put, methods=["PUT"])


class _Uploads:
    def __init__(self, blobs: BlobStore, signer: Signer, scratch: Path, max_bytes: int) -> None:
        self._blobs = blobs
        self._signer = signer
        self._scratch = scratch
        self._max_bytes = max_bytes
        self._coming: set[str] = set()

    async def put(self, request: Request) -> Response:
        token = request.path_params["token"]
        grant = self._signer.verify(token, method="PUT", now_s=time.time())
        if grant is None:
            return _answer(403, "this address is not valid, or has expired")
        if int(request.headers.get("Content-Length", 0)) > self._max_bytes:
            return self._too_large()
        if grant.name in self._coming:
            return _answer(409, "the file is being sent already")
        self._coming.add(grant.name)
        try:
            if await asyncio.to_thread(self._exists, grant.name):
                return _answer(409, "the file has been sent already; create another upload")
            return await self._receive(request, grant.name)
        except UnavailableError as exc:
            return _answer(503, exc.message)
        finally:
            self._coming.remove(grant.name)

    async def _receive(self, request: Request, name: str) -> Response:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix=UNFINISHED) as folder:
            path = Path(folder) / "file"
            with path.open("xb") as file:
                try:
                    is_whole = await self._copy(request, file)
                except ClientDisconnect:
                    return _answer(400, "the file did not come whole")
            if not is_whole:
                return self._too_large()
            await asyncio.to_thread(self._blobs.put_file, name, path)
        return Response(status_code=201)

    async def _copy(self, request: Request, file: BinaryIO) -> bool:
        """Write the body; return False once it is too long."""
        total = 0
        waiting = bytearray()
        async for piece in request.stream():
            total += len(piece)
            if total > self._max_bytes:
                return False
            waiting += piece
            if len(waiting) >= _WRITE_BYTES:
                await asyncio.to_thread(file.write, waiting)
                waiting = bytearray()
        await asyncio.to_thread(file.write, waiting)
        return True

    def _exists(self, name: str) -> bool:
        try:
            self._blobs.size(name)
        except NotFoundError:
            return False
        return True

    def _too_large(self) -> Response:
        return _answer(413, f"the file is longer than {self._max_bytes} bytes")


def _answer(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status)
