"""Pairs of one partition, from every map task, grouped by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.pairs.columns import DECODED_PAIRS, decoded, joined, narrowed
from engine.pairs.runs import merged, write_run

BUDGET_BYTES: Final = 128 * 1024 * 1024


def read_groups(
    parts: Iterable[Any], *, scratch: Path | None = None, budget_bytes: int = BUDGET_BYTES
) -> Iterator[tuple[Any, list[Any]]]:
    """Group the pairs of one partition.

    Args:
        parts: The partition's bytes from every map task, in task order; each holds any number of
            IPC streams.
        scratch: A folder for sorted runs when the pairs exceed the budget; None keeps them all in
            memory.
        budget_bytes: How much to hold at a time.

    Yields:
        Each key once, in key order (strings by code point, integers by value, mixed keys by their
        JSON), with all its values in map task order and then in the order they were added.
    """
    parts = [part for part in parts if part]
    if scratch is None or sum(map(len, parts)) <= budget_bytes:
        yield from _grouped(list(_tables(parts)))
        return
    key_type = _common_key_type(parts)
    runs: list[Path] = []
    waiting: list[pa.Table] = []
    for table in _tables(parts):
        if waiting and sum(t.nbytes for t in waiting) + table.nbytes > budget_bytes // 2:
            runs.append(write_run(waiting, key_type, scratch / f"run-{len(runs)}.arrow"))
            waiting = []
        waiting.append(table)
    runs.append(write_run(waiting, key_type, scratch / f"run-{len(runs)}.arrow"))
    yield from merged(runs)


def _common_key_type(parts: Iterable[Any]) -> pa.DataType:
    """Return the type that all keys together have when they are in one column."""
    common: pa.DataType | None = None
    for table in _tables(parts):
        for chunk in table.column("key").chunks:
            kind = narrowed(chunk).type if len(chunk) else common
            if kind == pa.binary() or common not in (None, kind):
                return pa.binary()
            common = kind
    return common or pa.binary()


def _tables(parts: Iterable[Any]) -> Iterator[pa.Table]:
    for part in parts:
        stream = pa.BufferReader(part)
        while stream.tell() < stream.size():
            yield pa.ipc.open_stream(stream).read_all()


def _grouped(tables: list[pa.Table]) -> Iterator[tuple[Any, list[Any]]]:
    """Group pairs that fit in memory, decoding them some at a time."""
    if not tables:
        return
    keys = joined([table.column("key") for table in tables]).dictionary_encode()
    distinct = narrowed(keys.dictionary)
    in_key_order = pc.call_function("sort_indices", [distinct])
    ranks = np.empty(len(in_key_order), dtype=np.int64)
    ranks[in_key_order.to_numpy()] = np.arange(len(in_key_order))
    rank_of_pair = ranks[keys.indices.to_numpy()]
    values = joined([table.column("value") for table in tables])
    values = values.take(pa.array(np.argsort(rank_of_pair, kind="stable")))
    ends = np.cumsum(np.bincount(rank_of_pair))
    first = start = 0
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, start + DECODED_PAIRS, side="right")))
        some = decoded(values.slice(start, int(ends[last - 1]) - start))
        offset = start
        for key, end in zip(
            decoded(distinct.take(in_key_order.slice(first, last - first))),
            ends[first:last].tolist(),
            strict=True,
        ):
            yield key, some[start - offset : end - offset]
            start = end
        first = last
