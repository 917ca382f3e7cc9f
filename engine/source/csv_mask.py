r"""Finds where CSV records end, without parsing the fields.

The rules are those of Python's ``csv`` module in its default dialect, read with ``newline=""``: a
quote opens a quoted field only where a field starts; within it a line end is text and a doubled
quote is a quote; a quote anywhere else is text; ``\n``, ``\r\n`` and ``\r`` end a record.
"""

from __future__ import annotations

import re
from typing import Final

_HIDDEN: Final = bytes.maketrans(b"\r\n", b"  ")
_LONE_CR: Final = re.compile(rb"\r(?!\n)")
_RECORD: Final = re.compile(rb"[\r\n]*[^\r\n][^\n]*\n")


class CsvMask:
    """Follows the quotes of one file, block by block.

    A doubled quote is taken as the end of a quoted field with another start right after it. That
    is the same to whoever looks for line ends, and needs no look beyond the block.
    """

    def __init__(self, delimiter: str) -> None:
        self._field_starts = (delimiter.encode(), b"\r", b"\n")
        self._is_quoted = False
        self._opens = True  # whether a quote here would open a quoted field, or open it again

    def mask(self, block: bytes) -> bytes:
        r"""Return *block*, of the same length, with ``\n`` exactly where a record ends.

        Blocks are passed in order, from the start of the file after its byte order mark, none
        of them empty or ending between ``\r`` and ``\n``.
        """
        parts = block.split(b'"')
        if not self._mask_regular(parts):
            self._mask_any(parts)
        masked = b'"'.join(parts)
        if masked.count(b"\r") > masked.count(b"\r\n"):
            return _LONE_CR.sub(b"\n", masked)
        return masked

    def _mask_regular(self, parts: list[bytes]) -> bool:
        """Mask *parts* if their quotes open and close in turn; else change nothing.

        Does what ``_mask_any`` does, for all parts at once, which is several times as fast.
        """
        first_quoted = 0 if self._is_quoted else 1
        quoted, plain = parts[first_quoted::2], parts[1 - first_quoted :: 2]
        ends_quoted = (len(parts) - 1) % 2 == first_quoted
        before_opening = plain if ends_quoted else plain[:-1]
        if not {part[-1:] for part in before_opening} <= {b"", *self._field_starts}:
            return False
        if first_quoted and before_opening and not before_opening[0] and not self._opens:
            return False
        text = b"".join(quoted)
        if b"\n" in text or b"\r" in text:
            parts[first_quoted::2] = [part.translate(_HIDDEN) for part in quoted]
        self._is_quoted = ends_quoted
        self._opens = not parts[-1] or parts[-1].endswith(self._field_starts)
        return True

    def _mask_any(self, parts: list[bytes]) -> None:
        """Mask *parts* one after the other; a quote stands between each two."""
        for i, part in enumerate(parts):
            if i:
                self._pass_quote()
            if self._is_quoted:
                parts[i] = part.translate(_HIDDEN)
            elif part:
                self._opens = part.endswith(self._field_starts)

    def _pass_quote(self) -> None:
        if self._is_quoted:
            self._is_quoted, self._opens = False, True
        else:
            self._is_quoted, self._opens = self._opens, False


def first_record_end(data: bytes, delimiter: str) -> int | None:
    """Return where the first record that is not blank ends, None if it goes on after *data*."""
    found = _RECORD.match(CsvMask(delimiter).mask(data))
    return found.end() if found else None
