"""Compressed streams: whole content, bounded growth, damage that is named."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import Compression
from engine.errors import RecordError, SourceChangedError
from engine.source.compression import (
    RATIO_FREE_BYTES,
    DecompressedStream,
    compression_of,
    decompress_to,
)

MIB = 1024 * 1024
COMPRESSORS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.GZIP: gzip.compress,
    Compression.BZIP2: bz2.compress,
    Compression.ZSTD: zstandard.compress,
}
each_compression = pytest.mark.parametrize("compression", COMPRESSORS)


def unpack(data: bytes, compression: Compression, *, step: int = 100_000) -> bytes:
    stream = DecompressedStream(BytesIO(data), compression, name="a.data")
    parts = list(iter(lambda: stream.read(step), b""))
    assert all(len(part) == step for part in parts[:-1])
    return b"".join(parts)


@given(
    st.lists(st.binary(max_size=50), min_size=1, max_size=4),
    st.sampled_from(list(COMPRESSORS)),
    st.integers(1, 60),
)
def test_members_one_after_another_are_one_content(
    contents: list[bytes], compression: Compression, step: int
) -> None:
    data = b"".join(COMPRESSORS[compression](content) for content in contents)

    assert compression_of(data) is compression
    assert unpack(data, compression, step=step) == b"".join(contents)


@each_compression
def test_a_file_cut_short_anywhere_is_refused(compression: Compression) -> None:
    whole = COMPRESSORS[compression](os.urandom(2_000) + b"text " * 2_000)

    for size in [
        *range(1, 40),
        *range(40, len(whole) - 12, 97),
        *range(len(whole) - 12, len(whole)),
    ]:
        with pytest.raises(RecordError, match=r"^a.data: the \w+ data is damaged or cut short"):
            unpack(whole[:size], compression)


@each_compression
def test_damage_is_named_with_its_place(compression: Compression) -> None:
    whole = bytearray(COMPRESSORS[compression](os.urandom(300_000)))
    if compression is Compression.ZSTD:  # which has no checksum unless asked for
        whole = bytearray(
            zstandard.ZstdCompressor(write_checksum=True).compress(os.urandom(300_000))
        )
    whole[150_000] ^= 0xFF

    with pytest.raises(RecordError, match=r"near byte \d{5,6}: "):
        unpack(bytes(whole), compression)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_garbage_after_the_end_is_refused(compression: Compression) -> None:
    with pytest.raises(RecordError, match="damaged or cut short"):
        unpack(COMPRESSORS[compression](b"text") + b"garbage", compression)


def test_a_bomb_is_stopped_soon_after_the_ratio_counts() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(400)) + packer.flush()
    stream = DecompressedStream(BytesIO(bomb), Compression.GZIP, name="bomb.gz")

    taken = sum(len(stream.read(MIB)) for _ in range(RATIO_FREE_BYTES // MIB))
    with pytest.raises(RecordError, match=r"^bomb.gz: unpacks to \d+ bytes at byte \d+, the limit"):
        list(iter(lambda: stream.read(MIB), b""))

    assert taken == RATIO_FREE_BYTES


def test_a_small_file_may_unpack_to_much_more() -> None:
    assert len(unpack(zstandard.compress(bytes(60 * MIB)), Compression.ZSTD, step=MIB)) == 60 * MIB


def test_what_fails_below_is_not_taken_for_damage() -> None:
    class Changed(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise SourceChangedError("a was changed")
            return super().read(10)

    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("disk")

    data = gzip.compress(b"text")
    with pytest.raises(SourceChangedError):
        DecompressedStream(Changed(data), Compression.GZIP, name="a").read(10)
    with pytest.raises(OSError, match="disk"):
        DecompressedStream(Broken(data), Compression.GZIP, name="a").read(10)


@each_compression
def test_a_file_is_written_plain(tmp_path: Path, compression: Compression) -> None:
    content = b"line\n" * 500_000
    data = BytesIO(COMPRESSORS[compression](content))

    size_bytes = decompress_to(data, compression, tmp_path / "plain", name="a")

    assert size_bytes == len(content)
    assert (tmp_path / "plain").read_bytes() == content


def test_a_file_that_could_not_be_unpacked_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        decompress_to(
            BytesIO(gzip.compress(b"text")[:-1]), Compression.GZIP, tmp_path / "plain", name="a"
        )

    assert list(tmp_path.iterdir()) == []
