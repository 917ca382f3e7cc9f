"""Which reducer owns a key."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32


def partitions_of(keys: Iterable[bytes], *, partitions: int) -> list[int]:
    """Return the reducer that owns each of *keys*.

    Built-in ``hash`` differs between processes; this does not, so arq, Lambda and Spark agree on
    every key.

    Args:
        keys: Encoded keys, as ``encode_key`` gives them.
        partitions: Reducer count, at least 1.

    Returns:
        Indices in ``range(partitions)``.

    Source: Dean and Ghemawat, MapReduce (2004), section 4.1.
    """
    return [crc32(key) % partitions for key in keys]
