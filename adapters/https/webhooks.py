"""Webhooks over HTTP: which addresses may be told something, and the telling.

``https://`` to public addresses, and nothing else. A deployment may name hosts that are let through
although their addresses are not public; those on loopback also by ``http://``. Redirects are not
followed, and proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self

import httpx

from adapters.https.name_look_ups import NameLookUps
from adapters.https.public_addresses import (
    NOT_KNOWN,
    NOT_PUBLIC,
    Resolve,
    checked_address,
    pinned,
    port_of,
    resolve,
)
from engine.errors import InputError, Issue, UnavailableError
from engine.source.addresses import Address, is_public
from engine.webhooks import PATH

DEADLINE_S: Final = 10.0
LOOK_UP_WITHIN_S: Final = 5.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_NO_WAY: Final = "the host's name is not known, or has an address that is not public"
_NO_ANSWER: Final = "the webhook's host name could not be looked up in time: try again"


class HttpxWebhooks:
    """Implements ``engine.webhooks.WebhookSender`` and ``WebhookAddresses``.

    Use as a context manager.

    Args:
        hosts: ``name`` or ``name:port`` of hosts whose addresses need not be public.
        deadline_s: How long one request may take, from the name's look-up to the end.
        look_up_within_s: How long the look-up of an address that a caller gives may take.
        tls: What certificates are checked against; the public authorities if None.
        resolve: Finds the addresses of a name.
    """

    def __init__(
        self,
        hosts: Sequence[str] = (),
        *,
        deadline_s: float = DEADLINE_S,
        look_up_within_s: float = LOOK_UP_WITHIN_S,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._hosts = frozenset(host.strip().lower() for host in hosts)
        self._deadline_s = deadline_s
        self._look_up_within_s = look_up_within_s
        self._tls = tls
        self._resolve = resolve
        self._look_ups = NameLookUps()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._look_ups.close()

    async def check(self, url: str, *, tenant: str) -> None:
        """Look at an address that a caller gives; see ``WebhookAddresses``."""
        try:
            async with asyncio.timeout(self._look_up_within_s):
                await self._address_of(_parsed(url), tenant)
        except (_NoAnswerError, TimeoutError) as exc:
            raise UnavailableError(_NO_ANSWER) from exc
        except _RefusedError as exc:
            # Which of the two would tell callers what names there are inside.
            is_about_names = str(exc) in (NOT_KNOWN, NOT_PUBLIC)
            raise InputError(Issue(PATH, _NO_WAY if is_about_names else str(exc))) from exc

    async def send(self, url: str, *, tenant: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send *body* by POST; see ``WebhookSender``."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._send(_parsed(url), tenant, headers, body)
        except TimeoutError as exc:
            raise UnavailableError(f"no answer within {self._deadline_s:g} s") from exc
        except (httpx.HTTPError, _RefusedError) as exc:
            raise UnavailableError(str(exc) or type(exc).__name__) from exc

    async def _send(
        self, url: httpx.URL, tenant: str, headers: Mapping[str, str], body: bytes
    ) -> int:
        address = await self._address_of(url, tenant)
        # A client of its own: pools know connections by address, and names may share one.
        async with httpx.AsyncClient(
            verify=self._trusted(),
            trust_env=False,
            follow_redirects=False,
            timeout=self._deadline_s,
        ) as client:
            target, arguments = pinned(url, address, headers)
            async with client.stream("POST", target, content=body, **arguments) as answer:
                await _drain(answer)
                return answer.status_code

    def _trusted(self) -> ssl.SSLContext:
        if self._tls is None:  # takes some 20 ms, so only once, and only where it is needed
            self._tls = httpx.create_ssl_context(trust_env=False)
        return self._tls

    async def _address_of(self, url: httpx.URL, tenant: str) -> Address:
        """Return an address that may be told something.

        Raises:
            _RefusedError: There is none.
            _NoAnswerError: Nobody says now whether there is one.
        """
        is_named = self._hosts & {url.host, f"{url.host}:{port_of(url)}"}
        if url.scheme != "https" and not is_named:
            raise _RefusedError("must be an https:// address")
        may_connect: Callable[[Address], bool] = _is_any if is_named else is_public
        look_up = partial(checked_address, url, self._resolve, may_connect)
        try:
            address = await self._look_ups.run(tenant, look_up)
        except OSError as exc:
            if isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN:
                raise _NoAnswerError(NOT_KNOWN) from exc
            raise _RefusedError(NOT_KNOWN) from exc
        if address is None:
            raise _RefusedError(NOT_PUBLIC)
        if url.scheme != "https" and not address.is_loopback:
            raise _RefusedError("http:// is for loopback addresses alone")
        return address


class _RefusedError(Exception):
    """An address that may not be told anything; the message says why."""


class _NoAnswerError(_RefusedError):
    """An address whose name the system could not look up for now."""


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as exc:
        raise _RefusedError("is no URL") from exc
    if parsed.scheme not in ("https", "http") or not parsed.host or parsed.userinfo:
        raise _RefusedError("must be an https:// address without a user in it")
    return parsed


def _is_any(_: Address) -> bool:
    return True


async def _drain(answer: httpx.Response) -> None:
    """Read what little there is, so that the receiver may end in peace; the status is known."""
    size = 0
    with suppress(httpx.HTTPError):
        async for piece in answer.aiter_raw():
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                return
