"""JSON as people give it, read strictly, and as a service answers, read with every digit."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any, Final, NoReturn

_SHOWN_DIGITS: Final = 20


def read_given(text: str) -> Any:
    """Read what a person has given.

    Raises:
        ValueError: It is not JSON, such as NaN, which Python alone takes for it.
        OverflowError: It is, but no double holds one of its numbers.
    """
    try:
        return json.loads(
            text, parse_constant=_refuse_constant, parse_float=_float, parse_int=_integer
        )
    except RecursionError as exc:
        raise ValueError("it is nested too deep") from exc


def read_exactly(data: bytes | str) -> Any:
    """Read what a service has answered; a number that a float would change becomes a Decimal.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(data, parse_float=_float_or_decimal)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    _float(digits)
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        shown = digits if len(digits) <= _SHOWN_DIGITS else f"{digits[:_SHOWN_DIGITS]}…"
        raise OverflowError(f"{shown} is too large for a number")
    return value


def _float_or_decimal(digits: str) -> float | Decimal:
    value = float(digits)
    told = repr(value)
    return value if told == digits or Decimal(told) == Decimal(digits) else Decimal(digits)
