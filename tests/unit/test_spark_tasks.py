"""How pieces are cut into rows for Spark's shuffle, and put together by who reduces them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

import pyarrow as pa

from engine.attempt import Piece
from engine.piece_index import read_piece_index, write_piece_index
from engine.shuffle import read_parts
from tests.support.memory import MemoryBlobs
from workers.spark_tasks import gathered, parts_of, pieces_table


def bytes_of(blobs: MemoryBlobs, pieces: Iterable[Piece]) -> list[bytes]:
    return [bytes(part) for part in read_parts(blobs, pieces)]


def test_reduce_tasks_get_what_they_read_elsewhere_however_spark_mixes_rows(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311 - guards nothing
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)  # noqa: S311 - guards nothing
    partitions, tasks = 7, 4
    blobs = MemoryBlobs()
    pieces = []
    for index in range(12):
        sizes = [chance.choice([0, 0, 1, 1_000, 2_000_000]) for _ in range(partitions)]
        blobs.put(f"piece-{index}", chance.randbytes(sum(sizes)))
        cuts = tuple(accumulate(sizes, initial=0))
        pieces.append(Piece(f"piece-{index}", rows=1, size_bytes=cuts[-1], cuts=cuts))
    write_piece_index(blobs, "index", pieces, tasks=tasks, partitions=partitions)

    sent = parts_of(blobs, pieces_table(pieces, tasks=tasks).to_batches(), tasks=tasks)
    rows = [row for batch in sent for row in batch.to_pylist()]
    chance.shuffle(rows)
    table = pa.Table.from_pylist(rows).sort_by([(n, "ascending") for n in ("task", "piece", "at")])
    found = {}
    for number, spool in gathered(table.to_batches(max_chunksize=16), tmp_path):
        found[number] = bytes_of(blobs, spool.parts())

    assert found == {
        number: [
            bytes(part) for part in read_parts(blobs, read_piece_index(blobs, "index", number))
        ]
        for number in range(tasks)
    }
    assert max(len(row["data"]) for row in rows) < 1_000_000


def test_a_reduce_task_for_which_there_is_nothing_runs_too(tmp_path: Path) -> None:
    sent = parts_of(MemoryBlobs(), pieces_table([], tasks=2).to_batches(), tasks=2)

    found = [(number, spool.parts()) for number, spool in gathered(sent, tmp_path)]

    assert found == [(0, ()), (1, ())]
