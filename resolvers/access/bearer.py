"""The bearer of a token that somebody has checked: the provider's keys here, AppSync there."""

from __future__ import annotations

import re
from typing import Final

from engine.claims import Claims
from resolvers.access.caller import Caller, scopes_of

TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
"""Tenants are part of names in stores, so there is no colon, slash or leading dot in them."""
MAX_SUBJECT_LENGTH: Final = 200


def bearer_of(claims: Claims, *, credential: str) -> Caller | None:
    """Return whom a token is about; None when it names nobody who can be a caller.

    Args:
        claims: What the token says.
        credential: Names the token, without being one.
    """
    subject = claims.subject
    is_named = 0 < len(subject) <= MAX_SUBJECT_LENGTH and subject.isprintable()
    if not is_named or not TENANT.fullmatch(claims.tenant):
        return None
    return Caller(
        subject=subject,
        tenant=claims.tenant,
        scopes=scopes_of(claims.scopes),
        credential=credential,
        expires_at=claims.expires_at,
    )
