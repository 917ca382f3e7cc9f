"""One URI of ``FilesSpec.uris``, taken apart; nothing here looks at the disk.

A URI is a path, absolute or relative to a source root, with an optional ``file://`` before it and
taken literally: ``%20`` is three characters. ``*``, ``?`` and ``[..]`` match within one name,
``**`` as a whole name matches any number of folders. A slash at the end means a folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.errors import SourceError

EVERYTHING: Final = "**"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WILDCARD: Final = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class UriPath:
    """A URI as names.

    Attributes:
        uri: The URI as the caller wrote it.
        is_absolute: Whether it starts at ``/`` instead of at a source root.
        literal: The names before the first wildcard.
        pattern: The names from the first wildcard on; ends in ``**`` when a folder is asked for.
    """

    uri: str
    is_absolute: bool
    literal: tuple[str, ...]
    pattern: tuple[str, ...]


def scheme_of(uri: str) -> str:
    """Return the scheme of *uri* in lower case; empty for a path and for ``file://``."""
    scheme = _SCHEME.match(uri)
    name = scheme[1].lower() if scheme else ""
    return "" if name == "file" else name


def has_wildcard(uri: str) -> bool:
    """Tell whether *uri* stands for what a listing finds, in the terms of its scheme."""
    match scheme_of(uri):
        case "":
            return _WILDCARD.search(uri) is not None
        case "s3":
            return "*" in uri
        case _:
            return False


def parse_uri(uri: str) -> UriPath:
    """Take *uri* apart.

    Raises:
        SourceError: It is empty, no text for a path, has a ``..``, or names another scheme.
    """
    path = _path_of(uri)
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise refusal(uri, "'..' is not allowed in a path")
    first = next((i for i, name in enumerate(names) if _WILDCARD.search(name)), len(names))
    pattern = names[first:]
    if path.endswith("/"):
        pattern.append(EVERYTHING)
    return UriPath(uri, path.startswith("/"), tuple(names[:first]), tuple(pattern))


def refusal(uri: str, reason: str) -> SourceError:
    """Return the error that says why *uri* cannot be used."""
    location = shown(uri)
    return SourceError(
        f"{location}: {reason}", location=location, path=("input", "source", "files", "uris")
    )


def shown(name: str) -> str:
    """Return *name* as it can be put into a message: escaped if part of it cannot be printed."""
    return name if name.isprintable() and name else ascii(name)


def is_utf8(path: str) -> bool:
    """Tell whether *path* can be written as UTF-8; a name of another encoding on disk cannot."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path_of(uri: str) -> str:
    if not uri:
        raise refusal(uri, "a URI must not be empty")
    if "\0" in uri:
        raise refusal(uri, "a NUL byte is not allowed in a path")
    if not is_utf8(uri):
        raise refusal(uri, "the path is not valid Unicode")
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return uri
    if scheme[1].lower() != "file":
        raise refusal(
            uri,
            f"{scheme[0]} is not available in this deployment; "
            "give a path below one of its source roots",
        )
    path = uri[scheme.end() :]
    if not path.startswith("/"):
        raise refusal(uri, "file:// must be followed by an absolute path, as in file:///data/a.csv")
    return path
