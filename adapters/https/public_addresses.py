"""Requests to names that callers give: to an address that was checked, and to no other.

The name is resolved once, every address of it must be one that may be asked, and the connection is
made to one of them, with the name only in the certificate's check and in the ``Host`` header. So a
name that changes between check and connection leads nowhere else.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final

import httpx

from engine.source.addresses import Address

Resolve = Callable[[str, int], Sequence[Address]]

NOT_PUBLIC: Final = "the host has an address that is not public"
NOT_KNOWN: Final = "the host's name is not known"


def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a name as the system knows them; blocks.

    Raises:
        OSError: It has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:  # a label of more than 63 characters, or an empty one
        raise OSError(f"no name: {exc}") from exc
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


def checked_address(
    url: httpx.URL, resolve: Resolve, may_connect: Callable[[Address], bool]
) -> Address | None:
    """Return an address of the host of *url*; None if any of its addresses may not be asked.

    Raises:
        OSError: The name is not known.
    """
    found = resolve(url.host, port_of(url))
    return found[0] if found and all(map(may_connect, found)) else None


def pinned(
    url: httpx.URL, address: Address, headers: Mapping[str, str]
) -> tuple[httpx.URL, dict[str, Any]]:
    """Return what to ask *address* for what *url* names, and the other arguments of the request."""
    return url.copy_with(host=str(address)), {
        "headers": {"Host": url.netloc.decode(), **headers},
        "extensions": {"sni_hostname": url.raw_host.decode()},
    }


def port_of(url: httpx.URL) -> int:
    """Return the port of *url*, also where it is left out."""
    return url.port or (80 if url.scheme == "http" else 443)
