"""The piece index: each reduce task gets its own part of every piece, as Redis would give it."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Piece
from engine.piece_index import partitions_of, read_piece_index, write_piece_index

lengths_by_piece = st.integers(1, 12).flatmap(
    lambda partitions: st.lists(
        st.lists(st.integers(0, 3), min_size=partitions, max_size=partitions), max_size=12
    ).map(lambda lengths: (partitions, lengths))
)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> ObstoreBlobs:
    return ObstoreBlobs.local(tmp_path_factory.mktemp("blobs"))


def pieces_of(lengths: list[list[int]]) -> list[Piece]:
    return [
        Piece(
            name=f"map-{index}",
            rows=index,
            size_bytes=sum(each),
            cuts=tuple(accumulate(each, initial=0)),
        )
        for index, each in enumerate(lengths)
    ]


@given(shuffle=lengths_by_piece, data=st.data())
def test_reduce_tasks_read_every_byte_once_and_nothing_empty(
    blobs: ObstoreBlobs, shuffle: tuple[int, list[list[int]]], data: st.DataObject
) -> None:
    partitions, lengths = shuffle
    tasks = data.draw(st.integers(1, partitions))
    pieces = pieces_of(lengths)

    write_piece_index(blobs, "index", pieces, tasks=tasks, partitions=partitions)

    for index in range(tasks):
        own = partitions_of(index, tasks=tasks, partitions=partitions)
        expected = [
            (
                piece.name,
                piece.rows,
                piece.size_bytes,
                (piece.cuts[own.start], piece.cuts[own.stop]),
            )
            for piece in pieces
            if piece.cuts[own.start] < piece.cuts[own.stop]
        ]
        found = read_piece_index(blobs, "index", index)
        assert [(each.name, each.rows, each.size_bytes, each.cuts) for each in found] == expected


@given(partitions=st.integers(1, 1000), data=st.data())
def test_every_partition_is_of_one_task(partitions: int, data: st.DataObject) -> None:
    tasks = data.draw(st.integers(1, partitions))

    taken = [
        partition
        for index in range(tasks)
        for partition in partitions_of(index, tasks=tasks, partitions=partitions)
    ]

    assert taken == list(range(partitions))
