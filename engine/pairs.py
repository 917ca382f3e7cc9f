"""Pairs on their way from map to reduce: grouped, cut into partitions, grouped again.

A piece is one blob: the partitions of a map task one after another, each an Arrow IPC stream, so
that a reducer reads its own part of every piece with one range request. A column is typed where all
its keys (or values) are strings, 64-bit integers or (values only) finite floats, which sorts and
decodes at the speed of C; anything else is canonical JSON.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import OutputError
from engine.jsonvalue import decode, encode, encode_key
from engine.partition import partitions_of

COMBINE_EVERY_PAIRS: Final = 250_000
BUDGET_BYTES: Final = 128 * 1024 * 1024
DECODED_PAIRS: Final = 65_536
RUN_BLOCK_BYTES: Final = 1024 * 1024
_SCALARS: Final = frozenset({int, str, float, bool, type(None)})


class Groups:
    """Values by key, as a map task collects them.

    Strings and integers stand for themselves; any other key is kept as its canonical JSON, so that
    ``1``, ``1.0`` and ``True``, which Python takes for equal, stay apart. Likewise scalar values
    stand for themselves, and any other is kept as its JSON: what a program does to a list or dict
    after it has yielded it changes nothing.

    Attributes:
        pairs: How many there are.
        crowded_at: With how many pairs combining would save memory at little cost for each.
    """

    def __init__(self) -> None:
        self._values: dict[Any, list[Any]] = {}
        self._has_json = False
        self.pairs = 0
        self.crowded_at = COMBINE_EVERY_PAIRS

    def add_all(self, pairs: Mapping[Any, Any]) -> None:
        """Add all pairs of a mapping; the first one of a task at little cost.

        Raises:
            OutputError: JSON cannot hold a key, or a value that is not a scalar.
        """
        if (
            not self._values
            and {str, int}.issuperset(map(type, pairs))
            and _SCALARS.issuperset(map(type, pairs.values()))
        ):
            self._values = dict(zip(pairs, map(_alone, pairs.values()), strict=True))
            self.pairs = len(pairs)
            return
        for key, value in pairs.items():
            self.add(key, value)

    def add(self, key: Any, value: Any) -> None:
        """Add one pair.

        Raises:
            OutputError: JSON cannot hold the key, or a value that is not a scalar.
        """
        kind = type(key)
        if kind is not str and kind is not int:
            key = _kept(key)
        if type(value) not in _SCALARS:
            value = self._kept_value(key, value)
        values = self._values.get(key)
        if values is None:
            self._values[key] = [value]
        else:
            values.append(value)
        self.pairs += 1

    def combine(self, merge: Any) -> None:
        """Replace the values of every key that has several by ``merge(key, values)``."""
        if self.pairs > len(self._values):
            for key, values in self._values.items():
                if len(values) > 1:
                    plain = decode(key) if type(key) is bytes else key
                    if self._has_json:
                        values[:] = [decode(v) if type(v) is bytes else v for v in values]
                    merged = merge(plain, values)
                    values[:] = [
                        merged if type(merged) in _SCALARS else self._kept_value(key, merged)
                    ]
        self.pairs = len(self._values)
        self.crowded_at = 2 * self.pairs + COMBINE_EVERY_PAIRS

    def to_piece(self, partitions: int) -> tuple[bytes, tuple[int, ...]]:
        """Cut the pairs into partitions by their keys.

        Args:
            partitions: Reducer count, at least 1.

        Returns:
            The piece, and the ``partitions + 1`` byte offsets between its partitions.

        Raises:
            OutputError: JSON cannot hold a value, or an integer has more than 64 bits.
        """
        keys = list(self._values)
        counts = np.fromiter(map(len, self._values.values()), dtype=np.int64, count=len(keys))
        try:
            values = _value_column(list(chain.from_iterable(self._values.values())))
        except OutputError:
            self._refuse_values()
            raise
        table = pa.table(
            {
                "key": _key_column(keys).take(pa.array(np.repeat(np.arange(len(keys)), counts))),
                "value": values,
            }
        )
        sink = pa.BufferOutputStream()
        cuts = [0]
        for part in _split(table, keys, counts, partitions):
            if part.num_rows:
                with pa.ipc.new_stream(sink, part.schema) as writer:
                    writer.write_table(part)
            cuts.append(sink.tell())
        return sink.getvalue().to_pybytes(), tuple(cuts)

    def _refuse_values(self) -> None:
        """Find the value that JSON cannot hold once more and name its key.

        Raises:
            OutputError: Always, unless there is none.
        """
        for key, values in self._values.items():
            for value in values:
                if type(value) is not bytes:
                    self._kept_value(key, value)

    def _kept_value(self, key: Any, value: Any) -> bytes:
        """Return a value as it is kept when it is no scalar."""
        self._has_json = True
        try:
            return encode(value)
        except OutputError as exc:
            shown = key.decode() if type(key) is bytes else repr(key)
            raise OutputError(f"the value of key {shown[:80]}: {exc}") from exc


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
            runs.append(_write_run(waiting, key_type, scratch / f"run-{len(runs)}.arrow"))
            waiting = []
        waiting.append(table)
    runs.append(_write_run(waiting, key_type, scratch / f"run-{len(runs)}.arrow"))
    yield from _merged(runs)


def _common_key_type(parts: Iterable[Any]) -> pa.DataType:
    """Return the type that all keys together have when they are in one column."""
    common: pa.DataType | None = None
    for table in _tables(parts):
        for chunk in table.column("key").chunks:
            kind = _narrowed(chunk).type if len(chunk) else common
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
    keys = _joined([table.column("key") for table in tables]).dictionary_encode()
    distinct = _narrowed(keys.dictionary)
    in_key_order = pc.call_function("sort_indices", [distinct])
    ranks = np.empty(len(in_key_order), dtype=np.int64)
    ranks[in_key_order.to_numpy()] = np.arange(len(in_key_order))
    rank_of_pair = ranks[keys.indices.to_numpy()]
    values = _joined([table.column("value") for table in tables])
    values = values.take(pa.array(np.argsort(rank_of_pair, kind="stable")))
    ends = np.cumsum(np.bincount(rank_of_pair))
    first = start = 0
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, start + DECODED_PAIRS, side="right")))
        decoded = _decoded(values.slice(start, int(ends[last - 1]) - start))
        offset = start
        for key, end in zip(
            _decoded(distinct.take(in_key_order.slice(first, last - first))),
            ends[first:last].tolist(),
            strict=True,
        ):
            yield key, decoded[start - offset : end - offset]
            start = end
        first = last


def _write_run(tables: list[pa.Table], key_type: pa.DataType, path: Path) -> Path:
    """Write pairs sorted by their keys, in blocks that can be read one by one."""
    keys = _joined([_as_type(table.column("key"), key_type) for table in tables])
    values = _joined([table.column("value") for table in tables])
    order = pc.call_function("sort_indices", [keys])
    table = pa.table({"key": keys.take(order), "value": values.take(order)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        # One block of every run is in memory while they are merged.
        rows = RUN_BLOCK_BYTES * table.num_rows // max(1, table.nbytes)
        writer.write_table(table, max_chunksize=max(1, min(rows, DECODED_PAIRS)))
    return path


def _merged(runs: Sequence[Path]) -> Iterator[tuple[Any, list[Any]]]:
    """Merge sorted runs; equal keys come in the order of the runs."""
    pairs = heapq.merge(*map(_pairs_of_run, runs), key=itemgetter(0))
    for key, group in groupby(pairs, key=itemgetter(0)):
        yield decode(key) if type(key) is bytes else key, [value for _, value in group]


def _pairs_of_run(path: Path) -> Iterator[tuple[bytes, Any]]:
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as blocks:
        for block in blocks:
            yield from zip(block.column(0).to_pylist(), _decoded(block.column(1)), strict=True)


def _kept(key: Any) -> Any:
    """Return a key as ``Groups`` keeps it; one that is a kind of string is that string."""
    encoded = encode_key(key)
    if isinstance(key, str | int) and not isinstance(key, bool):
        return decode(encoded)
    return encoded


def _key_column(keys: Sequence[Any]) -> pa.Array:
    typed = _typed(keys, {str: pa.utf8(), int: pa.int64()})
    if typed is not None:
        return typed
    return pa.array([k if type(k) is bytes else encode_key(k) for k in keys], pa.binary())


def _value_column(values: Sequence[Any]) -> pa.Array:
    typed = _typed(values, {str: pa.utf8(), int: pa.int64(), float: pa.float64()})
    if typed is not None:
        return typed
    return pa.array([v if type(v) is bytes else encode(v) for v in values], pa.binary())


def _typed(items: Sequence[Any], types: dict[type, pa.DataType]) -> pa.Array | None:
    """Return a typed column if all *items* are of one of *types* and fit, else None."""
    kinds = set(map(type, items))
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind not in types or (kind is float and not all(map(math.isfinite, items))):
        return None
    try:
        return pa.array(items, types[kind])
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        return None


def _split(
    table: pa.Table, keys: Sequence[Any], counts: np.ndarray[Any, Any], partitions: int
) -> Iterator[pa.Table]:
    if partitions == 1:
        yield table
        return
    owner_of_key = partitions_of(map(_encoded, keys), partitions=partitions)
    owners = np.repeat(np.array(owner_of_key, dtype=np.uint16), counts)
    table = table.take(pa.array(np.argsort(owners, kind="stable")))
    bounds = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=partitions))))
    for start, end in pairwise(bounds.tolist()):
        yield table.slice(start, end - start)


def _encoded(key: Any) -> bytes:
    return key if type(key) is bytes else orjson.dumps(key)


def _joined(columns: list[pa.ChunkedArray]) -> pa.Array:
    if len({column.type for column in columns}) > 1:
        columns = [_as_json(column) for column in columns]
    return pa.concat_arrays(chunk for column in columns for chunk in column.chunks)


def _narrowed(keys: pa.Array) -> pa.Array:
    """Return *keys* in the type that they have when nothing else was in their batches.

    So that their order does not depend on what else was mapped together with them.
    """
    if keys.type != pa.binary():
        return keys
    typed = _typed(_decoded(keys), {str: pa.utf8(), int: pa.int64()})
    return keys if typed is None else typed


def _as_type(keys: pa.ChunkedArray, key_type: pa.DataType) -> pa.ChunkedArray:
    """Return *keys* in the type that they have together with all others."""
    if keys.type == key_type:
        return keys
    if key_type == pa.binary():
        return _as_json(keys)
    return pa.chunked_array([_narrowed(chunk) for chunk in keys.chunks if len(chunk)], key_type)


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type == pa.binary():
        return column
    return pa.chunked_array([pa.array(map(encode_key, column.to_pylist()), pa.binary())])


def _decoded(column: pa.Array) -> list[Any]:
    if column.type == pa.binary():
        return [decode(item) for item in column.to_pylist()]
    if column.type == pa.utf8():
        return list(column.to_pylist())
    return list(column.to_numpy().tolist())


def _alone(value: Any) -> list[Any]:
    return [value]
