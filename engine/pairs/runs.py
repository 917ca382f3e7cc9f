"""Sorted runs: pairs that exceed memory, in scratch files that are merged as they are read."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.jsonvalue import decode
from engine.pairs.columns import DECODED_PAIRS, as_type, decoded, joined

RUN_BLOCK_BYTES: Final = 1024 * 1024


def write_run(tables: list[pa.Table], key_type: pa.DataType, path: Path) -> Path:
    """Write pairs sorted by their keys, in blocks that can be read one by one."""
    keys = joined([as_type(table.column("key"), key_type) for table in tables])
    values = joined([table.column("value") for table in tables])
    order = pc.call_function("sort_indices", [keys])
    table = pa.table({"key": keys.take(order), "value": values.take(order)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        # One block of every run is in memory while they are merged.
        rows = RUN_BLOCK_BYTES * table.num_rows // max(1, table.nbytes)
        writer.write_table(table, max_chunksize=max(1, min(rows, DECODED_PAIRS)))
    return path


def merged(runs: Sequence[Path]) -> Iterator[tuple[Any, list[Any]]]:
    """Merge sorted runs; equal keys come in the order of the runs."""
    pairs = heapq.merge(*map(_pairs_of_run, runs), key=itemgetter(0))
    for key, group in groupby(pairs, key=itemgetter(0)):
        yield decode(key) if type(key) is bytes else key, [value for _, value in group]


def _pairs_of_run(path: Path) -> Iterator[tuple[bytes, Any]]:
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as blocks:
        for block in blocks:
            yield from zip(block.column(0).to_pylist(), decoded(block.column(1)), strict=True)
