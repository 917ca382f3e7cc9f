"""A web server with TLS on loopback, whose certificate is for ``files.test``."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

HOST = "files.test"
CONTENT = bytes(range(256)) * 4096

Page = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request, answered by the page of its path."""

    def do_GET(self) -> None:
        site = cast("_Server", self.server).site
        site.requests.append(f"{self.headers['Host']} {self.path} {self.headers['Range']}")
        page = site.pages.get(self.path.partition("?")[0])
        if page is None:
            self.send(404)
        else:
            page(self)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_ranges(self, content: bytes, **headers: str) -> None:
        """Answer with the range that is asked for."""
        wanted = self.headers["Range"]
        if wanted is None:
            self.send(200, content, **headers)
            return
        start, _, last = wanted.removeprefix("bytes=").partition("-")
        end = min(int(last) + 1, len(content))
        if int(start) >= len(content):
            self.send(416, b"", Content_Range=f"bytes */{len(content)}", **headers)
            return
        place = f"bytes {start}-{end - 1}/{len(content)}"
        self.send(206, content[int(start) : end], Content_Range=place, **headers)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Site:
    """What the server has.

    Attributes:
        port: Where it listens.
        tls: What a client checks its certificate against.
        pages: How each path is answered.
        requests: Host, path and range of the requests that came.
    """

    port: int
    tls: ssl.SSLContext
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def url(self, path: str, *, host: str = HOST) -> str:
        return f"https://{host}:{self.port}{path}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients go away."""


@contextmanager
def web_server(folder: Path) -> Iterator[Site]:
    """Yield a server without pages."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", str(key)]
    command += ["-addext", f"subjectAltName=DNS:{HOST}", "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with _Server(("127.0.0.1", 0), Exchange) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.site = Site(server.server_address[1], ssl.create_default_context(cafile=certificate))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.site
        finally:
            server.shutdown()
            thread.join()
