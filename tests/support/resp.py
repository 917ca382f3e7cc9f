"""Redis' wire format, version 2: enough to take a stream apart."""

from __future__ import annotations

SIMPLE = b"+-:"
LENGTHS = b"$*"


def frame_end(stream: bytes | bytearray, start: int = 0) -> int | None:
    """Return where the frame that begins at *start* ends; None when more of it is to come."""
    line_end = stream.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, end = stream[start], line_end + 2
    if kind in SIMPLE:
        return end
    assert kind in LENGTHS, bytes(stream[start:end])
    length = int(stream[start + 1 : line_end])
    if kind == LENGTHS[0]:
        end += length + 2 if length >= 0 else 0
        return end if end <= len(stream) else None
    for _ in range(length):
        part_end = frame_end(stream, end)
        if part_end is None:
            return None
        end = part_end
    return end


def take_frames(stream: bytearray) -> list[bytes]:
    """Take all whole frames off the front of *stream*."""
    frames, start = [], 0
    while start < len(stream):
        end = frame_end(stream, start)
        if end is None:
            break
        frames.append(bytes(stream[start:end]))
        start = end
    del stream[:start]
    return frames


def words_of(frame: bytes) -> list[bytes]:
    """Return the strings of a frame that is a list of strings, as every command is."""
    words, start = [], frame.find(b"\r\n") + 2
    while start < len(frame):
        end = frame_end(frame, start)
        assert end is not None
        words.append(frame[frame.find(b"\r\n", start) + 2 : end - 2])
        start = end
    return words


def command(*words: bytes) -> bytes:
    """Return the frame of a command."""
    parts = (b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    return b"*%d\r\n%b" % (len(words), b"".join(parts))
