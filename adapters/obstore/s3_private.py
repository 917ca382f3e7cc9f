"""The part of S3 that the service keeps for itself, where no job may read or write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Self

_PREFIX: Final = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)
REFUSED: Final = "reaches into what the service keeps for itself"


@dataclass(frozen=True, slots=True)
class PrivatePrefix:
    """A bucket, or what is below a prefix of it.

    Attributes:
        bucket: The bucket.
        names: The names that make up the prefix.
    """

    bucket: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, uri: str | None) -> Self | None:
        """Read ``s3://bucket/prefix``; None gives None."""
        found = _PREFIX.fullmatch(uri or "")
        return None if found is None else cls(found[1], _names_of(found[2]))

    def is_reached(self, bucket: str, key: str) -> bool:
        """Return whether *key*, a pattern or a folder, may name something of the service's own.

        ``*`` stands for any part of one name, ``**`` for any names; a key that ends with a slash,
        or an empty one, for all that is below.
        """
        if bucket != self.bucket:
            return False
        names = _names_of(key)
        for name, own in zip(names, self.names, strict=False):
            if "**" in name:
                return True
            if not fnmatchcase(own, name.replace("[", "[[]").replace("?", "[?]")):
                return False
        return len(names) > len(self.names) or key.endswith("/") or not key


def _names_of(key: str) -> tuple[str, ...]:
    return tuple(name for name in key.split("/") if name)
