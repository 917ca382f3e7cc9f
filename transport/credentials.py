"""Where callers put what proves who they are."""

from __future__ import annotations


def credential_of(authorization: str | None) -> str | None:
    """Return what came after ``Bearer`` in the header ``Authorization``.

    Returns:
        None for no header, and what nobody has, "", for one of another scheme.
    """
    if authorization is None:
        return None
    scheme, _, credential = authorization.strip().partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
