"""One file of a source, as it was listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to map.

    Attributes:
        path: Where it is, for ``open_file``.
        size_bytes: Length when it was listed.
        version: Changes whenever the content does: an ETag, or time and length on local disk.
            Empty when the store cannot tell.
        modified_ms: When it was last changed, in milliseconds since 1970; None if unknown.
    """

    path: str
    size_bytes: int
    version: str = ""
    modified_ms: int | None = None
