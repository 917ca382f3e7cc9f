"""Values by key, as a map task collects, combines and cuts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from engine.errors import OutputError
from engine.jsonvalue import decode, encode, encode_key
from engine.pairs.columns import key_column, value_column
from engine.partition import partitions_of

COMBINE_EVERY_PAIRS: Final = 250_000
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
        self._taken: dict[Any, Any] = {}  # a whole mapping, while nothing else has come
        self._has_json = False
        self.pairs = 0
        self.crowded_at = COMBINE_EVERY_PAIRS

    def add_all(self, pairs: Mapping[Any, Any]) -> None:
        """Add all pairs of a mapping; the first one of a task at little cost.

        Raises:
            OutputError: JSON cannot hold a key, or a value that is not a scalar.
        """
        if (
            not self.pairs
            and {str, int}.issuperset(map(type, pairs))
            and _SCALARS.issuperset(map(type, pairs.values()))
        ):
            self._taken = dict(pairs)
            self.pairs = len(pairs)
            return
        for key, value in pairs.items():
            self.add(key, value)

    def add(self, key: Any, value: Any) -> None:
        """Add one pair.

        Raises:
            OutputError: JSON cannot hold the key, or a value that is not a scalar.
        """
        if self._taken:
            self._untake()
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
        if self._taken:
            return
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
        try:
            table, owners = self._as_table(partitions)
        except OutputError:
            self._untake()
            self._refuse_values()
            raise
        sink = pa.BufferOutputStream()
        cuts = [0]
        for part in _split(table, owners, partitions):
            if part.num_rows:
                with pa.ipc.new_stream(sink, part.schema) as writer:
                    writer.write_table(part)
            cuts.append(sink.tell())
        return sink.getvalue().to_pybytes(), tuple(cuts)

    def _as_table(self, partitions: int) -> tuple[pa.Table, np.ndarray[Any, Any]]:
        """Return all pairs, and the partition of each."""
        if self._taken:
            keys, values = list(self._taken), list(self._taken.values())
            table = pa.table({"key": key_column(keys), "value": value_column(values)})
            return table, _owners(keys, partitions)
        keys = list(self._values)
        values = list(chain.from_iterable(self._values.values()))
        counts = np.fromiter(map(len, self._values.values()), dtype=np.int64, count=len(keys))
        column = key_column(keys).take(pa.array(np.repeat(np.arange(len(keys)), counts)))
        table = pa.table({"key": column, "value": value_column(values)})
        return table, np.repeat(_owners(keys, partitions), counts)

    def _untake(self) -> None:
        """Let others be added to what came as a mapping."""
        self._values.update({key: [value] for key, value in self._taken.items()})
        self._taken = {}

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


def _kept(key: Any) -> Any:
    """Return a key as ``Groups`` keeps it; one that is a kind of string is that string."""
    encoded = encode_key(key)
    if isinstance(key, str | int) and not isinstance(key, bool):
        return decode(encoded)
    return encoded


def _owners(keys: Sequence[Any], partitions: int) -> np.ndarray[Any, Any]:
    if partitions == 1:
        return np.zeros(len(keys), dtype=np.uint16)
    owners = partitions_of(map(_encoded, keys), partitions=partitions)
    return np.array(owners, dtype=np.uint16)


def _split(table: pa.Table, owners: np.ndarray[Any, Any], partitions: int) -> Iterator[pa.Table]:
    if partitions == 1:
        yield table
        return
    table = table.take(pa.array(np.argsort(owners, kind="stable")))
    bounds = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=partitions))))
    for start, end in pairwise(bounds.tolist()):
        yield table.slice(start, end - start)


def _encoded(key: Any) -> bytes:
    return key if type(key) is bytes else orjson.dumps(key)
