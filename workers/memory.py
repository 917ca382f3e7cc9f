"""Memory of a task process between its tasks.

The allocators below Python keep what was freed for the next task. After a large one that is more
than the next will want, while other processes of the machine could use it.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

KEPT_BYTES: Final = 256 * 1024 * 1024


def give_back_memory() -> None:
    """Return freed memory to the kernel, if this process holds more than ``KEPT_BYTES``."""
    if _held_bytes() <= KEPT_BYTES:
        return
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError):  # not with this C library
        ctypes.CDLL(None).malloc_trim(0)


def _held_bytes() -> int:
    """Return resident memory without what is mapped from files; 0 where nobody tells."""
    try:
        resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * resource.getpagesize()
