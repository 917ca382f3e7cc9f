"""Messages between a worker and its task process: JSON, each after its length in four bytes."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

from engine.jsonvalue import decode, encode, encode_again

READY: Final = -1
"""The id of a task process's first message: its programs are loaded."""

_LENGTH_BYTES: Final = 4


def frame(message: dict[str, Any]) -> bytes:
    """Return *message* as it goes over the wire."""
    return _with_length(encode(message))


def frame_of_known(message: dict[str, Any]) -> bytes:
    """Return *message*, all of which came as JSON, as it goes over the wire."""
    return _with_length(encode_again(message))


def _with_length(body: bytes) -> bytes:
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Return the next message.

    Raises:
        EOFError: The other side is gone.
    """
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    message: dict[str, Any] = decode(await reader.readexactly(length))
    return message


def receive(connection: socket.socket) -> dict[str, Any]:
    """Return the next message, blocking.

    Raises:
        EOFError: The other side is gone.
    """
    length = int.from_bytes(_receive_exactly(connection, _LENGTH_BYTES), "big")
    message: dict[str, Any] = decode(_receive_exactly(connection, length))
    return message


def _receive_exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        block = connection.recv(length - len(data))
        if not block:
            raise EOFError
        data += block
    return bytes(data)
