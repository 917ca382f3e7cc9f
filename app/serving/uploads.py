"""``PUT /uploads/<token>``: where files go when the blob store takes no uploads itself.

The body goes to a temporary file and becomes a blob whole, once: a file that a job may be reading
never changes. While it comes it is one of its tenant's connections; one that comes too slowly, or
would fill the disk, is ended.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.blobs import BlobStore
from engine.errors import NotFoundError, QuotaExceededError, UnavailableError
from engine.signing import Signer
from engine.uploads import UNFINISHED
from resolvers.access.quotas import Connections
from resolvers.uploads import PATH

MAX_BYTES: Final = 10 * 1024**3
MIN_BYTES_PER_S: Final = 64 * 1024
STEP_S: Final = 30.0
KEPT_FREE_BYTES: Final = 1024**3
KEPT_FREE_SHARE: Final = 0.05
_WRITE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how slowly.

    Attributes:
        max_bytes: Longest file.
        min_bytes_per_s: A file that comes more slowly is given up.
        step_s: The time over which that is averaged, again and again.
    """

    max_bytes: int = MAX_BYTES
    min_bytes_per_s: int = MIN_BYTES_PER_S
    step_s: float = STEP_S


def has_room(folder: Path, wanted_bytes: int) -> bool:
    """Return whether so much may be written: the last of a disk is for results, and for others.

    That is a twentieth of it, or 1 GiB where this is less.
    """
    disk = shutil.disk_usage(folder)
    return disk.free - wanted_bytes >= min(KEPT_FREE_BYTES, disk.total * KEPT_FREE_SHARE)


def upload_route(
    blobs: BlobStore,
    signer: Signer,
    scratch: Path,
    *,
    connections: Connections,
    limits: Limits = Limits(),
    has_room: Callable[[Path, int], bool] = has_room,
) -> Route:
    """Return the route.

    Args:
        blobs: Where finished files go.
        signer: Knows the tokens that ``createUpload`` gives out.
        scratch: Folder for what is not finished, on the same disk as the blobs.
        connections: Counts the files that come.
        limits: How much and how slowly.
        has_room: Whether the disk of a folder takes so many more bytes.
    """
    uploads = _Uploads(blobs, signer, scratch, connections, limits, has_room)
    return Route(f"{PATH}{{token}}", uploads.put, methods=["PUT"])


class _Uploads:
    def __init__(
        self,
        blobs: BlobStore,
        signer: Signer,
        scratch: Path,
        connections: Connections,
        limits: Limits,
        has_room: Callable[[Path, int], bool],
    ) -> None:
        self._blobs = blobs
        self._signer = signer
        self._scratch = scratch
        self._connections = connections
        self._limits = limits
        self._has_room = has_room
        self._coming: set[str] = set()

    async def put(self, request: Request) -> Response:
        token = request.path_params["token"]
        grant = self._signer.verify(token, method="PUT", now_s=time.time())
        if grant is None:
            return _answer(403, "this address is not valid, or has expired")
        told_bytes = int(request.headers.get("Content-Length", 0))
        if told_bytes > self._limits.max_bytes:
            return self._too_large()
        if grant.name in self._coming:
            return _answer(409, "the file is being sent already")
        self._coming.add(grant.name)
        try:
            with self._connections.hold(grant.tenant):
                if await asyncio.to_thread(self._exists, grant.name):
                    return _answer(409, "the file has been sent already; create another upload")
                return await self._receive(request, grant.name, told_bytes)
        except QuotaExceededError as exc:
            retry_after = {"Retry-After": str(math.ceil(exc.retry_after_s))}
            return _answer(429, exc.message, retry_after)
        except UnavailableError as exc:
            return _answer(503, exc.message)
        finally:
            self._coming.remove(grant.name)

    async def _receive(self, request: Request, name: str, told_bytes: int) -> Response:
        self._scratch.mkdir(parents=True, exist_ok=True)
        if not self._has_room(self._scratch, told_bytes):
            return _full()
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix=UNFINISHED) as folder:
            path = Path(folder) / "file"
            with path.open("xb") as file:
                try:
                    await self._copy(request, file)
                except ClientDisconnect:
                    return _answer(400, "the file did not come whole")
                except _GivenUpError as exc:
                    return exc.answer
            await asyncio.to_thread(self._blobs.put_file, name, path)
        return Response(status_code=201)

    async def _copy(self, request: Request, file: BinaryIO) -> None:
        """Write the body.

        Raises:
            ClientDisconnect: It did not come whole.
            _GivenUpError: It is too long, too slow, or more than the disk takes.
        """
        total = 0
        waiting = bytearray()
        async for piece in self._in_time(request):
            total += len(piece)
            if total > self._limits.max_bytes:
                raise _GivenUpError(self._too_large())
            waiting += piece
            if len(waiting) >= _WRITE_BYTES:
                await self._write(file, waiting)
                waiting = bytearray()
        await self._write(file, waiting)

    async def _in_time(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body, as long as each step of time brings its share; our own time is not its.

        So neither silence nor a trickle lasts, however fast it began.
        """
        step_s = self._limits.step_s
        share = int(self._limits.min_bytes_per_s * step_s)
        pieces = request.stream()
        left_s, came = step_s, 0
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(left_s):
                    piece = await anext(pieces, None)
            except TimeoutError:
                raise _GivenUpError(_too_slow(share, step_s)) from None
            if piece is None:
                return
            left_s -= time.monotonic() - began
            came += len(piece)
            if came >= share:
                left_s, came = step_s, 0
            yield piece

    async def _write(self, file: BinaryIO, data: bytearray) -> None:
        if not self._has_room(self._scratch, len(data)):
            raise _GivenUpError(_full())
        await asyncio.to_thread(file.write, data)

    def _exists(self, name: str) -> bool:
        try:
            self._blobs.size(name)
        except NotFoundError:
            return False
        return True

    def _too_large(self) -> Response:
        return _answer(413, f"the file is longer than {self._limits.max_bytes} bytes")


class _GivenUpError(Exception):
    """A file that is not taken to its end, and what its sender is answered."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def _too_slow(share_bytes: int, step_s: float) -> Response:
    text = f"the file comes too slowly: every {step_s:g} s must bring {share_bytes} bytes"
    return _answer(408, text, {"Connection": "close"})


def _full() -> Response:
    return _answer(507, "the disk that takes files has too little space left")


def _answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status, headers=headers)
