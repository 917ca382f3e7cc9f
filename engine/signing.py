"""Tokens that hold all that they say, and a MAC over it.

Nothing is stored, and every process that knows the key can check them; none can be taken back
before it expires. A ``Grant`` lets its bearer do one thing with one blob, for a while; tokens for
anything else are made with a key derived for it, so that none passes for another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import astuple, dataclass
from typing import Final

from engine.jsonvalue import decode, encode

MIN_KEY_BYTES: Final = 16

_MAC_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows.

    Attributes:
        method: What may be done with the blob: ``GET`` or ``PUT``.
        tenant: Whose blob it is.
        name: The blob.
        expires_s: When the token ends, in seconds since 1970.
        shown: What the blob is called where it is saved; empty for its own name.
    """

    method: str
    tenant: str
    name: str
    expires_s: int
    shown: str = ""


class Signer:
    """Makes tokens and checks them.

    Args:
        key: A secret of at least 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key must have {MIN_KEY_BYTES} bytes or more, has {len(key)}")
        self._key = key

    def sign(self, grant: Grant) -> str:
        """Return a token that can stand in a URL."""
        return self.seal(encode(list(astuple(grant))))

    def verify(self, token: str, *, method: str, now_s: float) -> Grant | None:
        """Return what *token* allows; None if it is none of ours, over, or for another method."""
        payload = self.unseal(token)
        # A secret of ours, which somebody may know, is a MAC too, but of what is no JSON array.
        if payload is None or not payload.startswith(b"["):
            return None
        grant = Grant(*decode(payload))
        return grant if grant.method == method and now_s < grant.expires_s else None

    def derived(self, purpose: str) -> Signer:
        """Return a signer for *purpose* alone: neither takes the other's tokens for its own."""
        return Signer(self._mac(b"purpose: " + purpose.encode()))

    def secret(self, purpose: str) -> str:
        """Return what somebody else may know, to check by it what we sign for *purpose*."""
        mac = self._mac(b"secret: " + purpose.encode())
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def seal(self, payload: bytes) -> str:
        """Return *payload*, which can be read by all, as text that can stand in a URL."""
        return base64.urlsafe_b64encode(self._mac(payload) + payload).decode().rstrip("=")

    def unseal(self, token: str) -> bytes | None:
        """Return what ``seal`` was given; None if *token* is not of this key."""
        data = _decoded(token)
        payload = data[_MAC_BYTES:]
        # In constant time, and before anything of the payload is looked at.
        return payload if hmac.compare_digest(data[:_MAC_BYTES], self._mac(payload)) else None

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, hashlib.sha256)


def _decoded(token: str) -> bytes:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeError, binascii.Error):
        return b""
