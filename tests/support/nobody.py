"""A user without rights, for tests that root runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NOBODY: Final = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to read everything, for a while; of no effect for others."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
