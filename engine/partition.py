"""Which reducer owns a key."""

from __future__ import annotations

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
