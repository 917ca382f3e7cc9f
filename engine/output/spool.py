"""Rows on their way to a file: as JSON lines, in memory while they are few, then on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from engine.jsonvalue import encode
from engine.kernel import Row
from engine.rows import Columns, columns_of

IN_MEMORY_BYTES: Final = 1024 * 1024
_BUFFER_BYTES: Final = 256 * 1024
_KNOWN_SHAPES: Final = 1_000


class Spool:
    """Takes rows once and gives their lines back as often as wanted.

    Attributes:
        rows: Number of rows.
        size_bytes: Length of all lines.
        columns: Names in the order of first sight, with their types.
        path: The file with all lines, once there is one.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self.size_bytes = 0
        self.columns: Columns = ()
        self.path: Path | None = None
        self._planned = path
        self._lines: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._planned.unlink(missing_ok=True)

    def fill(self, rows: Iterable[Row]) -> None:
        """Take all rows.

        Raises:
            OutputError: JSON cannot hold one.
        """
        seen: dict[tuple[str, type], None] = {}
        shapes: set[tuple[object, ...]] = set()
        pending = 0
        file: BinaryIO | None = None
        try:
            for row in rows:
                line = encode(row) + b"\n"
                shape = (*row, *map(type, row.values()))
                if shape not in shapes:
                    seen.update(dict.fromkeys(zip(row, map(type, row.values()), strict=True)))
                    if len(shapes) < _KNOWN_SHAPES:
                        shapes.add(shape)
                self._lines.append(line)
                self.rows += 1
                pending += len(line)
                if pending >= IN_MEMORY_BYTES:
                    self.size_bytes += pending
                    pending = 0
                    file = file or self._opened()
                    file.write(b"".join(self._lines))
                    self._lines.clear()
            self.size_bytes += pending
            if file is not None:
                file.write(b"".join(self._lines))
                self._lines.clear()
        finally:
            if file is not None:
                file.close()
        self.columns = columns_of(seen)

    def data(self) -> bytes:
        """Return all lines; only of rows that are in memory."""
        return b"".join(self._lines)

    def lines(self) -> Iterator[bytes]:
        """Yield the line of each row."""
        if self.path is None:
            yield from self._lines
            return
        with self.path.open("rb", buffering=_BUFFER_BYTES) as file:
            yield from file

    def _opened(self) -> BinaryIO:
        self.path = self._planned
        return self.path.open("wb", buffering=_BUFFER_BYTES)
