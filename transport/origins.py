"""From which web pages the service may be called.

A browser says in ``Origin`` which page makes it call; other programs say nothing and are let
through, because they act for nobody but themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Origins:
    """Pages of our own, and those that were allowed.

    Args:
        allowed: Origins such as ``https://console.example``.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allow(self, origin: str | None, *, host: str | None) -> bool:
        """Return whether a page of *origin* may call.

        Args:
            origin: The header of that name; None for none.
            host: The header ``Host``: by which name we were called. What ends TLS before us changes
                the scheme, so that is not compared.
        """
        if origin is None or origin.lower() in self._allowed:
            return True
        scheme, netloc = _parts(origin)
        if not netloc or host is None:
            return False
        return netloc == host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def _parts(origin: str) -> tuple[str, str]:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return "", ""
    scheme = parts.scheme
    if scheme not in _DEFAULT_PORTS:
        return "", ""
    return scheme, parts.netloc.removesuffix(_DEFAULT_PORTS[scheme])
