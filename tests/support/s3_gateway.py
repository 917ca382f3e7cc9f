"""A gateway in front of a real S3 that counts what goes through, and fails when told to.

Signatures pass unlooked at, in both directions.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import unquote, urlsplit

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date"})


@dataclass
class S3Gateway:
    """What the gateway does.

    Attributes:
        endpoint: Its address.
        requests: Method and path of those that came.
        sent_bytes: How many bytes of bodies went out, by path.
        refused: Statuses to answer the next requests with, one each, whose path begins with a key.
        denied: Path beginnings that nobody may touch.
    """

    backend: str
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    sent_bytes: dict[str, int] = field(default_factory=dict)
    refused: dict[str, list[int]] = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)

    def status_of(self, path: str) -> int | None:
        """Return the status to refuse a request with."""
        if any(map(path.startswith, self.denied)):
            return 403
        for start, statuses in self.refused.items():
            if path.startswith(start) and statuses:
                return statuses.pop(0)
        return None


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        gateway = cast("_Server", self.server).gateway
        path = unquote(urlsplit(self.path).path)
        gateway.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = gateway.status_of(path)
        if status is not None:
            code = "AccessDenied" if status == 403 else "SlowDown"
            self._answer(status, {}, f"<Error><Code>{code}</Code></Error>".encode())
            return
        backend = http.client.HTTPConnection(urlsplit(gateway.backend).netloc, timeout=30)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
            backend.request(self.command, self.path, body=body, headers=headers)
            answer = backend.getresponse()
            data = answer.read()
        finally:
            backend.close()
        gateway.sent_bytes[path] = gateway.sent_bytes.get(path, 0) + len(data)
        told = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP}
        if self.command == "HEAD":
            told["Content-Length"] = answer.headers.get("Content-Length", "0")
        self._answer(answer.status, told, data)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    gateway: S3Gateway

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients go away."""


@contextmanager
def s3_gateway(backend: str) -> Iterator[S3Gateway]:
    """Yield a gateway to the S3 at *backend*."""
    gateway = S3Gateway(backend)
    with _Server(("127.0.0.1", 0), _Exchange) as server:
        server.gateway = gateway
        gateway.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
