"""Which keys of a bucket a listing is asked for, and where it may begin and stop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.source.uri import EVERYTHING
from engine.source.walk import NamePattern

if TYPE_CHECKING:
    from obstore import ObjectMeta

_MAY_BE_HIDDEN: Final = re.compile(r"^\.|/\.|__pycache__", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listing is asked for.

    Attributes:
        folder: Folder that holds all matches; None for the bucket.
        start: What all matching keys begin with.
        pattern: Matches the names below ``folder``.
        known: For the last folder that was seen, its names as far as the pattern goes.
        takes_all: Whether everything below ``folder`` matches but for names that begin with a dot.
    """

    folder: str | None
    start: str
    pattern: NamePattern
    known: dict[str, frozenset[int]]
    takes_all: bool

    @classmethod
    def of(cls, key: str) -> Wanted:
        """Return what a key of a URI asks for, with ``*`` and ``**`` as wildcards."""
        names = [name for name in key.split("/") if name]
        first = next((i for i, name in enumerate(names) if "*" in name), len(names))
        folder = "/".join(names[:first])
        inner = names[first:] + ([EVERYTHING] if key.endswith("/") or not key else [])
        literal = inner[0].partition("*")[0]
        start = f"{folder}/{literal}" if folder else literal
        pattern = NamePattern([_literal(name) for name in inner])
        return cls(folder or None, start, pattern, {}, takes_all=inner == [EVERYTHING])

    @property
    def offset(self) -> str | None:
        """A key before every match and after much that is none."""
        if not self.start or self.start.endswith("/"):
            return None
        last = ord(self.start[-1])
        if not 0x20 < last < 0x7F:
            return None
        before = chr(last - 1).replace("/", ".")  # which is no name of its own
        return f"{self.start[:-1]}{before}~"

    def is_passed(self, key: str) -> bool:
        """Tell whether no key from *key* on can match."""
        return key > self.start and not key.startswith(self.start)

    def may_hold(self, folder: str) -> bool:
        """Tell whether *folder*, which is below the one of this pattern, may hold matches."""
        start = self.start
        if not (folder.startswith(start) or start.startswith(f"{folder}/")):
            return False
        reached = self.pattern.start
        for name in folder[len(self.folder) + 1 if self.folder else 0 :].split("/"):
            reached = self.pattern.after(reached, name)
        return bool(reached)

    def chosen(self, page: list[ObjectMeta]) -> list[ObjectMeta]:
        """Return those of *page*, which are below the folder, that are asked for."""
        if self.takes_all and page:
            keys = [entry["path"] for entry in page]
            # All keys lie between the two, so they begin as these do.
            is_inside = min(keys).startswith(self.start) and max(keys).startswith(self.start)
            if is_inside and not _MAY_BE_HIDDEN.search("\n".join(keys)):
                return page
        return [entry for entry in page if self.matches(entry["path"])]

    def matches(self, key: str) -> bool:
        """Tell whether *key*, which is below the folder, is asked for."""
        if not key.startswith(self.start):
            return False
        inner = key[len(self.folder) + 1 :] if self.folder else key
        folder, _, name = inner.rpartition("/")
        if folder not in self.known:
            self.known.clear()
            reached = self.pattern.start
            for part in folder.split("/") if folder else ():
                reached = self.pattern.after(reached, part)
            self.known[folder] = reached
        return self.pattern.end in self.pattern.after(self.known[folder], name)


def _literal(name: str) -> str:
    """Return a pattern in which ``*`` alone is a wildcard."""
    return name.replace("[", "[[]").replace("?", "[?]")
