"""A wall clock of a process that is wrong, by libfaketime; what counts durations stays right."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.needs import do_without

_PLACES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")


class FalseClock:
    """The clock of a process that is started with its environment.

    Args:
        file: Holds by how much it is wrong.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Have it jump, so that it is *ahead_s* ahead of the right time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def _library() -> str:
    for place in _PLACES:
        for found in Path("/").glob(place.removeprefix("/")):
            return str(found)
    missing = "libfaketime is missing (Debian: apt-get install libfaketime)"
    do_without(missing)
