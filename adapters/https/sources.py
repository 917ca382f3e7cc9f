"""Sources on web servers: ``https://host/file``, from hosts that this deployment allows.

A request goes to an address that was checked (see ``public_addresses.py``). Redirects are followed
by hand and checked the same way. Proxies of the environment are not used.

A file's version is its ETag, or the time of its last change, and its length. Servers without
ranges are read as a whole into a temporary file.
"""

from __future__ import annotations

import random
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import BinaryIO, Final, NoReturn, TypeVar, cast

import httpx

from adapters.https.public_addresses import (
    NOT_KNOWN,
    NOT_PUBLIC,
    Resolve,
    checked_address,
    pinned,
    port_of,
    resolve,
)
from engine.errors import SourceChangedError, SourceError, UnavailableError
from engine.source.addresses import Address, is_public
from engine.source.choice import FileChoice
from engine.source.file import SourceFile
from engine.source.ranges import RangeFile
from engine.source.uri import refusal

MAX_REDIRECTS: Final = 5
MAX_BYTES: Final = 10 * 1024**3
MIN_BYTES_PER_S: Final = 64 * 1024
GRACE_S: Final = 10.0
DEADLINE_S: Final = 3600.0
GIVE_UP_S: Final = 30.0
_PIECE_BYTES: Final = 64 * 1024
_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")
_TIMEOUT: Final = httpx.Timeout(10.0, pool=30.0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long.

    Attributes:
        max_bytes: Longest file.
        min_bytes_per_s: A slower answer is given up.
        grace_s: For how long an answer may be slower.
        deadline_s: For how long one answer may take in total.
        give_up_s: For how long a request is repeated while the server fails.
    """

    max_bytes: int = MAX_BYTES
    min_bytes_per_s: int = MIN_BYTES_PER_S
    grace_s: float = GRACE_S
    deadline_s: float = DEADLINE_S
    give_up_s: float = GIVE_UP_S


class HttpsSources:
    """Implements ``engine.source.store.SourceStore`` for ``https://``.

    Args:
        hosts: Names that may be asked, exactly; ``name:port`` for another port than 443.
        limits: How much and how long.
        tls: What certificates are checked against; the public authorities if None.
        resolve: Finds the addresses of a name.
        may_connect: Whether an address may be asked.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        limits: Limits = Limits(),
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
        may_connect: Callable[[Address], bool] = is_public,
    ) -> None:
        self._hosts = frozenset(_with_port(host) for host in hosts)
        self._limits = limits
        self._tls = tls
        self._resolve = resolve
        self._may_connect = may_connect
        self._clients: dict[str, httpx.Client] = {}

    def list_files(
        self, uri: str, *, is_sorted: bool = True, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        """Yield the one file of *uri*.

        Raises:
            SourceError: It has wildcards, is not on an allowed host, or there is no such file.
            UnavailableError: The server does not answer within 30 s.
        """
        if "*" in uri:
            raise refusal(self.name_of(uri), "https:// knows no wildcards")
        yield self.stat_file(uri)

    def stat_file(self, path: str) -> SourceFile:
        """Ask for the first byte, which every server understands; see ``SourceStore``."""
        return self._retried(path, lambda: self._seen(path)).file

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        """Open a file; see ``SourceStore``."""
        seen = self._retried(path, lambda: self._seen(path), is_planned=True)
        self._check_version(path, seen.file.version, version)
        if not seen.has_ranges:
            return self._retried(path, lambda: self._spooled(path, version), is_planned=True)
        wanted = version or seen.file.version

        def fetch(start: int, end: int) -> bytes:
            return self._retried(
                path, lambda: self._range(path, start, end, wanted), is_planned=True
            )

        return cast("BinaryIO", RangeFile(fetch, seen.file.size_bytes))

    def name_of(self, path: str) -> str:
        """Return *path* without its query, which may hold a signature."""
        return path.partition("#")[0].partition("?")[0]

    def local_path(self, path: str) -> str | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _seen(self, path: str) -> _Seen:
        with self._answer(path, "bytes=0-0") as response:
            found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            has_ranges = found is not None and response.status_code in (206, 416)
            if has_ranges and found is not None:
                size = int(found[3])
            else:
                self._check_status(path, response, 200)
                size = self._length(path, response)
            self._check_size(path, size)
            version = _version_of(response, size)
            modified = _modified_ms(response)
            return _Seen(SourceFile(path, size, version, modified), has_ranges)

    def _length(self, path: str, response: httpx.Response) -> int:
        """Return the length of a whole answer, reading it all where it is not told."""
        told = response.headers.get("Content-Length", "")
        if told.isdecimal():
            return int(told)
        return sum(map(len, self._pieces(path, response)))

    def _range(self, path: str, start: int, end: int, version: str) -> bytes:
        with self._answer(path, f"bytes={start}-{end - 1}") as response:
            if response.status_code == 416:
                raise _changed(self.name_of(path))
            self._check_status(path, response, 206)
            found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found is None or found[1] is None:
                self._refuse(path, "the server does not say which range it answers")
            self._check_version(path, _version_of(response, int(found[3])), version)
            data = b"".join(self._pieces(path, response))
        if (int(found[1]), int(found[2]) + 1, len(data)) != (start, end, end - start):
            name = self.name_of(path)
            raise UnavailableError(f"{name}: {len(data)} bytes came for {end - start}")
        return data

    def _spooled(self, path: str, version: str) -> BinaryIO:
        stream = tempfile.TemporaryFile()
        try:
            with self._answer(path, None) as response:
                self._check_status(path, response, 200)
                size = 0
                for piece in self._pieces(path, response):
                    size += stream.write(piece)
                self._check_version(path, _version_of(response, size), version)
        except BaseException:
            stream.close()
            raise
        stream.seek(0)
        return cast("BinaryIO", stream)

    def _pieces(self, path: str, response: httpx.Response) -> Iterator[bytes]:
        """Yield a body piece by piece, as long as it comes fast enough and is not too long."""
        limits, name = self._limits, self.name_of(path)
        began = time.monotonic()
        total = 0
        for piece in response.iter_raw(_PIECE_BYTES):
            total += len(piece)
            self._check_size(path, total)
            yield piece
            took = time.monotonic() - began
            is_slow = took > limits.grace_s and total < limits.min_bytes_per_s * took
            if is_slow or took > limits.deadline_s:
                raise UnavailableError(f"{name}: only {total} bytes came in {took:.0f} s")

    @contextmanager
    def _answer(self, path: str, range_: str | None) -> Iterator[httpx.Response]:
        """Ask for a file, following redirects; the body is not read yet."""
        url = self._url(path, path)
        for _ in range(MAX_REDIRECTS + 1):
            with self._sent(path, url, range_) as response:
                if not response.is_redirect:
                    yield response
                    return
                target = response.headers["Location"]
            try:
                joined = str(url.join(target))
            except (httpx.InvalidURL, ValueError):
                self._refuse(path, "redirects to what is no URL")
            url = self._url(path, joined)
        self._refuse(path, f"redirects more than {MAX_REDIRECTS} times")

    @contextmanager
    def _sent(self, path: str, url: httpx.URL, range_: str | None) -> Iterator[httpx.Response]:
        address = self._address(path, url)
        client = self._client(url.host)
        headers = {"Accept-Encoding": "identity"}
        if range_ is not None:
            headers["Range"] = range_
        target, arguments = pinned(url, address, headers)
        request = client.build_request("GET", target, **arguments)
        response = client.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _client(self, host: str) -> httpx.Client:
        """Return a client for one name alone: pools know connections by address."""
        if host not in self._clients:
            self._clients[host] = httpx.Client(
                verify=self._tls if self._tls is not None else True,
                trust_env=False,
                follow_redirects=False,
                timeout=_TIMEOUT,
                headers={"User-Agent": "fanfold"},
            )
        return self._clients[host]

    def _url(self, path: str, text: str) -> httpx.URL:
        """Check a URL, the first or one that a redirect leads to."""
        at = "" if text == path else "redirects to a URL that "
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, ValueError):
            self._refuse(path, f"{at}is no URL")
        if url.scheme != "https":
            self._refuse(path, f"{at}is not https://")
        if url.userinfo:
            self._refuse(path, f"{at}has a user in it")
        if f"{url.host}:{port_of(url)}" not in self._hosts:
            self._refuse(path, f"{at}is on a host that this deployment does not read from")
        return url

    def _address(self, path: str, url: httpx.URL) -> Address:
        try:
            address = checked_address(url, self._resolve, self._may_connect)
        except OSError as exc:
            raise UnavailableError(f"{self.name_of(path)}: {NOT_KNOWN}") from exc
        if address is None:
            self._refuse(path, NOT_PUBLIC)
        return address

    def _check_status(self, path: str, response: httpx.Response, expected: int) -> None:
        status = response.status_code
        if status == expected:
            return
        if status in (404, 410):
            raise _MissingError(path)
        if status in (401, 403):
            self._refuse(path, "access denied")
        if status in (408, 425, 429) or status >= 500:
            raise UnavailableError(f"{self.name_of(path)}: the server answers with status {status}")
        self._refuse(path, f"the server answers with status {status}")

    def _check_size(self, path: str, size_bytes: int) -> None:
        if size_bytes > self._limits.max_bytes:
            self._refuse(path, f"is longer than {self._limits.max_bytes} bytes")

    def _check_version(self, path: str, found: str, wanted: str) -> None:
        if wanted not in ("", found):
            raise _changed(self.name_of(path))

    def _refuse(self, path: str, reason: str) -> NoReturn:
        raise refusal(self.name_of(path), reason)

    def _retried(self, path: str, ask: Callable[[], T], *, is_planned: bool = False) -> T:
        """Ask again while the server fails, with growing pauses.

        Raises:
            UnavailableError: It still fails after ``give_up_s``.
        """
        name = self.name_of(path)
        give_up_at = time.monotonic() + self._limits.give_up_s
        pause_s = 0.1
        while True:
            try:
                return ask()
            except _MissingError as exc:
                if not is_planned:
                    raise refusal(name, "there is no such file") from exc
                message = f"{name}: was deleted after the job was planned"
                raise SourceChangedError(message, location=name) from exc
            except (UnavailableError, httpx.TransportError) as exc:
                if _is_bad_certificate(exc):
                    raise refusal(name, "the server's certificate is not valid for it") from exc
                if time.monotonic() + pause_s > give_up_at:
                    raise _gave_up(name, exc) from exc
            except httpx.HTTPError as exc:
                raise refusal(name, "the server's answer is not HTTP") from exc
            time.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
            pause_s = min(pause_s * 2, 3.0)


class _MissingError(Exception):
    """The server says that there is no such file."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as the server tells of it, and whether it answers ranges."""

    file: SourceFile
    has_ranges: bool


def _with_port(host: str) -> str:
    name, colon, port = host.strip().lower().rpartition(":")
    return f"{name}:{port}" if colon and port.isdecimal() else f"{host.strip().lower()}:443"


def _version_of(response: httpx.Response, size_bytes: int) -> str:
    headers = response.headers
    return f"{headers.get('ETag') or headers.get('Last-Modified') or ''};{size_bytes}"


def _modified_ms(response: httpx.Response) -> int | None:
    try:
        return int(parsedate_to_datetime(response.headers["Last-Modified"]).timestamp() * 1000)
    except (KeyError, ValueError):
        return None


def _changed(name: str) -> SourceError:
    return SourceChangedError(f"{name}: was changed after the job was planned", location=name)


def _is_bad_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _gave_up(name: str, error: Exception) -> UnavailableError:
    if isinstance(error, UnavailableError):
        return error
    return UnavailableError(f"{name}: the server does not answer")
