"""JSON values as bytes: the only form in which keys, values and rows travel and rest.

Refuses what JSON cannot hold, and what would silently change: NaN and infinity (which many
encoders turn into null), datetimes, dataclasses, sets, bytes and keys that are not strings.
"""

from __future__ import annotations

import asyncio
import math
import reprlib
from enum import Enum
from typing import Any, Final

import orjson

from engine.errors import OutputError

SMALL_BYTES: Final = 64 * 1024
PARTS_A_TURN: Final = 20_000
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_FINITE: Final = frozenset({str, int, bool, type(None)})
_CANONICAL: Final = _OPTIONS | orjson.OPT_SORT_KEYS


def encode(value: Any) -> bytes:
    """Return *value* as JSON.

    Raises:
        OutputError: JSON cannot hold it; the message says which part and why.
    """
    return _encode(value, _OPTIONS)


async def encode_in_turns(value: Any) -> bytes:
    """Return *value* as JSON, letting others of the event loop have their turns in between.

    Raises:
        OutputError: As ``encode``.
    """
    data = _dumps(value, _OPTIONS)
    if len(data) <= SMALL_BYTES:
        return encode(value) if b"null" in data else data
    await asyncio.sleep(0)
    if b"null" in data and not await _is_finite_in_turns(value):
        _refuse_non_finite(value)
    return data


def encode_again(value: Any, *, is_sorted: bool = False) -> bytes:
    """Return as JSON what was decoded from JSON, or looked at, and so holds nothing to refuse.

    Args:
        value: What it is.
        is_sorted: Whether equal values give equal bytes, in whatever order they have their keys.
    """
    return orjson.dumps(value, option=_CANONICAL if is_sorted else _OPTIONS)


def encode_key(key: Any) -> bytes:
    """Return *key* as canonical JSON: equal keys give equal bytes in every process.

    ``1`` and ``1.0`` are different keys; tuples and lists are the same.

    Raises:
        OutputError: JSON cannot hold it.
    """
    return _encode(key, _CANONICAL)


def decode(data: bytes | memoryview | str) -> Any:
    """Return the value that *data* holds."""
    return orjson.loads(data)


def _encode(value: Any, options: int) -> bytes:
    data = _dumps(value, options)
    if b"null" in data and value is not None:
        _refuse_non_finite(value)
    return data


def _dumps(value: Any, options: int) -> bytes:
    try:
        return orjson.dumps(value, option=options)
    except (TypeError, RecursionError) as exc:
        raise OutputError(f"JSON cannot hold {_describe(value)}: {exc}") from exc


def _refuse_non_finite(value: Any) -> None:
    """Tell a null that was None from one that was NaN or infinity."""
    if isinstance(value, float):
        raise OutputError(f"JSON cannot hold {value!r}")
    if not _is_finite(value):
        raise OutputError(f"JSON cannot hold NaN or infinity, found in {_describe(value)}")


def _is_finite(value: Any) -> bool:
    """Tell whether *value*, which is JSON otherwise, has no float that is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return not isinstance(value, Enum) or _is_finite(value.value)
    # Written as a loop, because this is most of what encoding costs.
    for part in value:
        if type(part) not in _FINITE and not _is_finite(part):
            return False
    return True


async def _is_finite_in_turns(value: Any) -> bool:
    """Tell the same with others having their turns, however it is nested."""
    waiting, seen = [value], 0
    while waiting:
        part = waiting.pop()
        for inner in part.values() if isinstance(part, dict) else part:
            if type(inner) in _FINITE:
                continue
            if isinstance(inner, dict | list | tuple):
                waiting.append(inner)
            elif not _is_finite(inner):
                return False
        seen += 1 + len(part)
        if seen > PARTS_A_TURN:
            seen = 0
            await asyncio.sleep(0)
    return True


def _describe(value: Any) -> str:
    # The plain repr of what is nested too deep, or of an odd object, may itself raise.
    text = reprlib.repr(value)
    return f"{type(value).__name__} {text[:80]}{'…' if len(text) > 80 else ''}"
