"""Lines of text files as an Arrow stream that can be scanned any number of times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import FanfoldError, RecordError
from engine.source.chunk import BOM, MAX_RECORD_BYTES, too_long

LINE: Final = "line"
_SCHEMA: Final = pa.schema([(LINE, pa.utf8())])
_BLOCK_BYTES: Final = 4 * 1024 * 1024
_NEWLINE: Final = ord("\n")


class LineStream:
    """The table of one column, ``line``, over parts of files; each a path, a name, start and end.

    DuckDB scans it through Arrow's C stream interface, anew for every reference in a query.

    Attributes:
        failure: What went wrong in a scan; DuckDB tells only that something did.
    """

    def __init__(self, parts: Sequence[tuple[str, str, int, int]]) -> None:
        self._parts = parts
        self._lines: int | None = None
        self.failure: FanfoldError | None = None

    def __arrow_c_schema__(self) -> Any:
        """Return the schema's capsule."""
        return _SCHEMA.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return the capsule of a new scan."""
        reader = pa.RecordBatchReader.from_batches(_SCHEMA, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def count(self) -> int:
        """Return the number of lines; at no cost once a scan has come to its end."""
        if self._lines is not None:
            return self._lines
        count = 0
        for _, _, block in self._blocks():
            count += int(np.count_nonzero(np.frombuffer(block, np.uint8) == _NEWLINE))
            count += not block.endswith(b"\n")
        return count

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            lines = 0
            for name, offset, block in self._blocks():
                batch = _as_batch(name, offset, block)
                lines += batch.num_rows
                yield batch
            self._lines = lines
        except FanfoldError as exc:
            self.failure = exc
            raise

    def _blocks(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield whole lines with the name and offset of where they stand."""
        for path, name, start, end in self._parts:
            with open(path, "rb") as stream:
                stream.seek(start)
                position, rest = start, b""
                while position < end:
                    read = stream.read(min(_BLOCK_BYTES, end - position))
                    if not read:
                        break
                    position += len(read)
                    block = rest + read
                    cut = block.rfind(b"\n") + 1 if position < end else len(block)
                    if cut:
                        yield name, position - len(block), block[:cut]
                    rest = block[cut:]
                    if len(rest) > MAX_RECORD_BYTES:
                        raise too_long(name, position - len(rest), len(rest))


def _as_batch(name: str, offset: int, block: bytes) -> pa.RecordBatch:
    if offset == 0 and block.startswith(BOM):
        block = block[len(BOM) :]
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    try:
        text = pa.array([block], pa.binary()).cast(pa.utf8())
    except pa.ArrowInvalid as exc:
        raise RecordError(f"{name}: the lines from byte {offset} are not UTF-8") from exc
    lines = pc.call_function("split_pattern", [text], pc.SplitPatternOptions("\n")).values
    if block.endswith(b"\n"):
        lines = lines.slice(0, len(lines) - 1)
    return pa.record_batch([lines], schema=_SCHEMA)
