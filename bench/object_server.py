"""A stand-in for S3 with any number of empty-handed objects: ``python -m bench.object_server N``.

Answers ``ListObjectsV2`` of the one prefix that it has, 1,000 keys a page, from pages that are made
before the first request, and ``HEAD`` and ``GET`` of any object. Prints its address when it is
ready; ends with its standard input. It shows what a client costs, not what S3 does.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, cast
from urllib.parse import parse_qs, urlsplit

import uvloop

PAGE_KEYS: Final = 1_000
URI: Final = "s3://headline/objects/"
_CONTENT: Final = b"0123456789abcdef"
_FIRST_CHANGED_S: Final = 1_769_860_800
_HEAD: Final = b"Last-Modified: Sat, 31 Jan 2026 12:00:00 GMT\r\n"


def main() -> None:
    """Serve until the standard input ends."""
    uvloop.run(_serve(_pages(int(sys.argv[1]))))


@contextmanager
def object_server(objects: int) -> Iterator[str]:
    """Run the stand-in as a process of its own, and yield its address."""
    command = [sys.executable, "-m", "bench.object_server", str(objects)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.stdin.close()


async def _serve(pages: list[bytes]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(pages), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)


class _Connection(asyncio.Protocol):
    """One client; answers its requests in order."""

    def __init__(self, pages: list[bytes]) -> None:
        self._pages = pages
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self._transport.write(self._answer(method, target))

    def _answer(self, method: str, target: str) -> bytes:
        query = parse_qs(urlsplit(target).query)
        if "list-type" in query:
            return self._pages[int(query.get("continuation-token", ["0"])[0])]
        head = _head(len(_CONTENT)) + _HEAD + b'ETag: "' + _CONTENT + _CONTENT + b'"\r\n\r\n'
        return head if method == "HEAD" else head + _CONTENT


def _pages(objects: int) -> list[bytes]:
    """Return the answers to all requests for a page, as they go over the wire."""
    starts = range(0, objects, PAGE_KEYS)
    return [
        _page(
            start,
            min(start + PAGE_KEYS, objects),
            following=page + 1 if page + 1 < len(starts) else None,
        )
        for page, start in enumerate(starts)
    ]


def _page(start: int, end: int, *, following: int | None) -> bytes:
    folder = URI.partition("://")[2].partition("/")[2]
    entries = "".join(
        f"<Contents><Key>{folder}{number:09}.json</Key><LastModified>{_time(number)}</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{1_000 + number % 1_000}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(start, end)
    )
    more = (
        "" if following is None else f"<NextContinuationToken>{following}</NextContinuationToken>"
    )
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>headline</Name>'
        f"<Prefix>{folder}</Prefix><KeyCount>{end - start}</KeyCount><MaxKeys>{PAGE_KEYS}</MaxKeys>"
        f"<IsTruncated>{str(following is not None).lower()}</IsTruncated>{more}{entries}"
        "</ListBucketResult>"
    ).encode()
    return _head(len(body)) + b"Content-Type: application/xml\r\n\r\n" + body


def _time(number: int) -> str:
    changed = datetime.fromtimestamp(_FIRST_CHANGED_S + number * 1.25, UTC)
    return changed.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n".encode()


if __name__ == "__main__":
    main()
