"""Where a service is, and what proves to it who calls."""

from __future__ import annotations

import ipaddress
import urllib.parse
from dataclasses import dataclass, field

from app.client.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is.

    Attributes:
        url: Its base address, without a slash at the end.
        token: What proves who calls; None for nothing.
    """

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, at: str | Address) -> Address:
        """Return the address that *at* is, or reads as.

        Raises:
            ServiceError: It is no http or https address.
        """
        return at if isinstance(at, Address) else cls.parse(at)

    @classmethod
    def parse(cls, url: str, token: str | None = None) -> Address:
        """Read a base address as people give it.

        Raises:
            ServiceError: It is no http or https address, or the token is none.
        """
        if token and not (token.isascii() and token.isprintable()):
            message = "the token has characters that no token has"
            raise ServiceError(message, code="UNAUTHENTICATED")
        if not _is_http(url):
            raise ServiceError(
                f"{url!r} is no address of a service: give one such as http://127.0.0.1:8000 "
                "with --url or FANFOLD_URL",
                code="VALIDATION_FAILED",
            )
        return cls(url.rstrip("/"), token or None)

    @property
    def headers(self) -> dict[str, str]:
        """What tells the service who calls; in ``connection_init`` as well."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    @property
    def http(self) -> str:
        """Where queries and mutations go."""
        return f"{self.url}/graphql"

    @property
    def websocket(self) -> str:
        """Where subscriptions go."""
        return f"ws{self.http.removeprefix('http')}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where no proxy belongs in between."""
        host = urllib.parse.urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def unreachable(self) -> ServiceError:
        """Return the error for an address where nobody answers."""
        return ServiceError(
            f"no service answers at {self.url}: start one with 'fanfold up', or give another "
            "address with --url or FANFOLD_URL",
            code="UNREACHABLE",
        )


def _is_http(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # refuses what is no number
    except ValueError:
        return False
    is_whole = url.isprintable() and " " not in url
    return is_whole and parts.scheme in ("http", "https") and bool(parts.hostname)
