"""The shuffle: what map tasks write is what reducers read, whether it fits in memory or not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Attempt, Piece
from engine.blobs import BlobStore
from engine.job import JobId, TaskId
from engine.pairs.groups import Groups
from engine.pairs.read import read_groups
from engine.shuffle import INLINE_BYTES, ShuffleWriter, read_tables

SCHEMA = pa.schema([("k", pa.int64()), ("text", pa.string())])
NUMBERS = st.integers(0, 200)
KEYS = st.one_of(
    NUMBERS, st.text(max_size=3), st.integers(2**63, 2**64 - 1), st.none(), st.booleans()
)
VALUES = st.one_of(st.integers(-9, 9), st.text(max_size=2), st.floats(0, 1), st.none())

PAIRS = st.sampled_from([NUMBERS, NUMBERS | st.none(), st.text(max_size=3), KEYS]).flatmap(
    lambda keys: st.lists(st.tuples(keys, VALUES), max_size=12)
)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return ObstoreBlobs.local(tmp_path / "blobs")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def attempt(*, partitions: int, may_inline: bool = True) -> Attempt:
    return Attempt(
        job=JobId("j-1"),
        task=TaskId("map-0"),
        number=1,
        spec={},
        reducers=partitions,
        may_inline=may_inline,
    )


def batches(numbers: range, *, size: int, width: int = 10) -> Iterator[pa.RecordBatch]:
    for start in numbers[::size]:
        some = list(range(start, min(start + size, numbers.stop)))
        yield pa.record_batch([some, [f"{n:0{width}}" for n in some]], schema=SCHEMA)


def written(
    writer: ShuffleWriter, numbers: range, *, partitions: int, size: int = 100, width: int = 10
) -> None:
    for batch in batches(numbers, size=size, width=width):
        owners = batch.column(0).to_numpy() % partitions
        writer.add(batch, None if partitions == 1 else owners.astype(np.uint16))


def read_back(blobs: BlobStore, piece: Piece, partitions: int) -> list[list[int]]:
    """Return the keys of each partition, read alone."""
    assert len(piece.cuts) == partitions + 1
    found = []
    for start, end in pairwise(piece.cuts):
        data = None if piece.data is None else piece.data[start:end]
        own = Piece(name=piece.name, rows=0, size_bytes=end - start, cuts=(start, end), data=data)
        tables = read_tables(blobs, [own])
        found.append([key for table in tables for key in table.column("k").to_pylist()])
    return found


@pytest.mark.parametrize("partitions", [1, 2, 7])
@pytest.mark.parametrize("budget_bytes", [1, 10_000, 10**9])
def test_every_partition_has_its_rows_in_their_order(
    blobs: BlobStore, scratch: Path, partitions: int, budget_bytes: int
) -> None:
    writer = ShuffleWriter(
        SCHEMA, partitions=partitions, scratch=scratch, budget_bytes=budget_bytes
    )
    written(writer, range(5_000), partitions=partitions)

    piece = writer.to_piece(attempt(partitions=partitions), blobs)

    assert read_back(blobs, piece, partitions) == [
        list(range(owner, 5_000, partitions)) for owner in range(partitions)
    ]
    assert piece.rows == 5_000
    assert list(scratch.iterdir()) == []


def test_what_exceeds_the_budget_goes_to_scratch_at_once(blobs: BlobStore, scratch: Path) -> None:
    budget_bytes = 100_000
    writer = ShuffleWriter(SCHEMA, partitions=3, scratch=scratch, budget_bytes=budget_bytes)
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()

    seen = []
    for start in range(0, 40_000, 1_000):
        written(writer, range(start, start + 1_000), partitions=3, size=1_000)
        seen.append(pool.bytes_allocated() - before)
    spilled = sum(path.stat().st_size for path in scratch.iterdir())
    piece = writer.to_piece(attempt(partitions=3), blobs)

    assert len(list(scratch.iterdir())) == 0
    assert spilled > 5 * budget_bytes
    assert max(seen) < 4 * budget_bytes
    assert piece.size_bytes > 40_000 * 18
    assert piece.data is None


def test_little_travels_with_the_outcome_if_it_may(blobs: BlobStore, scratch: Path) -> None:
    def piece_of(rows: int, *, may_inline: bool = True) -> Piece:
        writer = ShuffleWriter(SCHEMA, partitions=2, scratch=scratch)
        written(writer, range(rows), partitions=2)
        return writer.to_piece(attempt(partitions=2, may_inline=may_inline), blobs)

    assert piece_of(10).data is not None
    assert piece_of(10, may_inline=False).data is None
    large = piece_of(INLINE_BYTES // 10)
    assert large.data is None
    assert blobs.size(large.name) == large.size_bytes
    assert piece_of(0).size_bytes == 0


def test_an_empty_partition_costs_nothing(blobs: BlobStore, scratch: Path) -> None:
    for budget_bytes in (1, 10**9):
        writer = ShuffleWriter(SCHEMA, partitions=4, scratch=scratch, budget_bytes=budget_bytes)
        for batch in batches(range(2_000), size=500):
            writer.add(batch, np.full(batch.num_rows, 2, np.uint16))
        piece = writer.to_piece(attempt(partitions=4), blobs)

        assert [end - start for start, end in pairwise(piece.cuts)][:2] == [0, 0]
        assert read_back(blobs, piece, 4) == [[], [], list(range(2_000)), []]


# ------------------------------------------------------------------ pairs


def piece_of(pairs: list[tuple[Any, Any]], *, partitions: int) -> list[bytes]:
    groups = Groups()
    for key, value in pairs:
        groups.add(key, value)
    data, cuts = groups.to_piece(partitions)
    return [data[start:end] for start, end in pairwise(cuts)]


@given(
    pieces=st.lists(PAIRS, max_size=5),
    partitions=st.integers(1, 3),
    budget_bytes=st.integers(1, 400),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_groups_are_the_same_with_and_without_scratch(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[list[tuple[Any, Any]]],
    partitions: int,
    budget_bytes: int,
) -> None:
    parts = [piece_of(pairs, partitions=partitions) for pairs in pieces]
    scratch = tmp_path_factory.mktemp("runs")
    for own in zip(*parts, strict=True):
        in_memory = list(read_groups(own))
        spilled = list(read_groups(own, scratch=scratch, budget_bytes=budget_bytes))
        assert [(repr(key), values) for key, values in spilled] == [
            (repr(key), values) for key, values in in_memory
        ]


@given(
    pieces=st.lists(PAIRS, max_size=4),
    budget_bytes=st.integers(1, 400),
)
def test_pieces_of_several_partitions_are_grouped_the_same_with_and_without_scratch(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[list[tuple[Any, Any]]],
    budget_bytes: int,
) -> None:
    whole = [b"".join(piece_of(pairs, partitions=3)) for pairs in pieces]
    whole = [b"".join(whole[:2]), *whole[2:]]
    scratch = tmp_path_factory.mktemp("runs")

    in_memory = list(read_groups(whole))
    spilled = list(read_groups(whole, scratch=scratch, budget_bytes=budget_bytes))

    assert [(repr(key), values) for key, values in spilled] == [
        (repr(key), values) for key, values in in_memory
    ]
