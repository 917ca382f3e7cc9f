"""JSON values as bytes: the only form in which keys, values and rows travel and rest.

Refuses what JSON cannot hold, and what would silently change: NaN and infinity (which many
encoders turn into null), datetimes, dataclasses, sets, bytes and keys that are not strings.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import reprlib
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import orjson

from engine.errors import OutputError

SMALL_BYTES: Final = 64 * 1024
PARTS_A_TURN: Final = 20_000
SHOWN_DIGITS: Final = 40
_LONG_NUMBER: Final = re.compile(rb"[0-9][0-9.]{15}|[eE][+-]?[0-9]{3}")
"""Digits that a float may lose: it keeps 15 of any number, of up to 308 places."""
_MANY_DIGITS: Final = re.compile(r"[0-9]{19}")
_STRING_OR_LONG_INTEGER: Final = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"|(?<![-+.eE0-9])(?P<digits>-?[0-9]{19,})(?![.eE0-9])'
)
_MOST_DIGITS: Final = 21
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
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


def decode_given(data: bytes | str) -> Any:
    """Return the value that *data* holds, which somebody has written.

    Raises:
        ValueError: It is not JSON, or has an integer of more than 64 bits.
    """
    value = orjson.loads(data)
    if (digits := long_integer_in(data)) is not None:
        raise ValueError(f"the integer {digits} has more than 64 bits")
    return value


def long_integer_in(data: bytes | str) -> str | None:
    """Return an integer in *data*, JSON, that would silently become a float; None without one."""
    text = data if isinstance(data, str) else data.decode()
    if _MANY_DIGITS.search(text) is None:
        return None
    for found in _STRING_OR_LONG_INTEGER.finditer(text):
        digits = found["digits"]
        if digits and not (len(digits) <= _MOST_DIGITS and _LEAST <= int(digits) <= _MOST):
            return digits if len(digits) <= SHOWN_DIGITS else f"{digits[:SHOWN_DIGITS]}…"
    return None


def as_it_is(data: bytes) -> Any:
    """Return JSON as a part of a value that ``encode`` writes as it is; nobody else can read it."""
    return orjson.Fragment(data)


def decode_exactly(data: bytes) -> Any:
    """Return the value that *data* holds, to be encoded again, with every digit.

    Numbers that a float, or an integer of 64 bits, cannot hold are parts as of ``as_it_is``.
    """
    if _LONG_NUMBER.search(data) is None:
        return orjson.loads(data)
    return json.loads(data, parse_int=_exact_integer, parse_float=_exact_float)


def is_encodable(data: bytes) -> bool:
    """Whether JSON can be decoded and encoded again: it may be nested too deep for that."""
    try:
        encode_again(decode_exactly(data))
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _exact_integer(digits: str) -> Any:
    if len(digits) > _MOST_DIGITS:  # Python makes no integers of thousands
        return as_it_is(digits.encode())
    value = int(digits)
    return value if _LEAST <= value <= _MOST else as_it_is(digits.encode())


def _exact_float(digits: str) -> Any:
    value = float(digits)
    is_exact = math.isfinite(value) and Decimal(repr(value)) == Decimal(digits)
    return value if is_exact else as_it_is(digits.encode())


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
