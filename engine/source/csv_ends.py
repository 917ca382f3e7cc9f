r"""How the records of a CSV file end: ``\n``, ``\r\n`` or ``\r``, and what to do about a mixture.

Python's ``csv`` module takes them as they come. DuckDB wants one kind in a file, so that a file
with several is given one; line ends within quotes are text and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from engine.source.chunk import BOM
from engine.source.csv_mask import CsvMask

LF: Final = b"\n"
CRLF: Final = b"\r\n"
_BLOCK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordEnds:
    """How the records of a file end.

    Attributes:
        lines: About how many there are; line ends within quotes may have been counted as well.
        kinds: How they end: those of the three that occur.
    """

    lines: int
    kinds: frozenset[bytes]

    @property
    def is_mixed(self) -> bool:
        """Whether there are several kinds."""
        return len(self.kinds) > 1

    @property
    def kind(self) -> bytes:
        """The only kind, of a file that is not mixed."""
        return next(iter(self.kinds), LF)


def record_ends(path: str | Path, delimiter: str) -> RecordEnds:
    """Find out how the records of a file end; following its quotes only where it must be."""
    feeds = returns = pairs = 0
    last = LF
    with open(path, "rb") as stream:
        for block in _blocks(stream):
            feeds += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
            if b"\r" in block:
                returns += block.count(b"\r")
                pairs += block.count(CRLF)
            last = block[-1:]
    if not returns or feeds == returns == pairs:
        kind = CRLF if returns else LF
        return RecordEnds(feeds + (last != LF), frozenset({kind} if feeds else ()))
    return _exact_ends(path, delimiter)


def write_with_one_end(stream: BinaryIO, target: Path, delimiter: str) -> None:
    r"""Copy CSV, from the start of a record on, with every record ending in ``\n``."""
    with target.open("wb") as sink:
        for block, masked in _masked(stream, delimiter):
            data, mask = np.frombuffer(block, np.uint8), np.frombuffer(masked, np.uint8)
            # What is left of \r in the mask is that of a \r\n.
            sink.write(np.where(mask == ord("\n"), mask, data)[mask != ord("\r")].tobytes())


def _exact_ends(path: str | Path, delimiter: str) -> RecordEnds:
    feeds = pairs = returns = 0
    last = LF
    with open(path, "rb") as stream:
        for block, masked in _masked(stream, delimiter):
            pairs += masked.count(CRLF)
            data, mask = np.frombuffer(block, np.uint8), np.frombuffer(masked, np.uint8)
            is_end = mask == ord("\n")
            returns += int(np.count_nonzero(is_end & (data == ord("\r"))))
            feeds += int(np.count_nonzero(is_end))
            last = masked[-1:]
    found = {CRLF: pairs, b"\r": returns, LF: feeds - pairs - returns}
    kinds = frozenset(kind for kind, count in found.items() if count)
    return RecordEnds(feeds + (last != LF), kinds)


def _masked(stream: BinaryIO, delimiter: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the content in blocks, each with its mask, which leaves a byte order mark alone."""
    mask = CsvMask(delimiter).mask
    is_first = True
    for block in _blocks(stream):
        start = len(BOM) if is_first and block.startswith(BOM) else 0
        is_first = False
        rest = block[start:]
        yield block, block[:start] + (mask(rest) if rest else b"")


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    r"""Yield the content in blocks, none of which ends between ``\r`` and ``\n``."""
    while block := stream.read(_BLOCK_BYTES):
        yield block + stream.read(1) if block.endswith(b"\r") else block
