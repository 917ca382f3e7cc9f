"""Items as they are kept in DynamoDB, and as plain values of Python.

Floats, which boto3 refuses, become numbers by their shortest text; what is too small or too large
for a number there (beyond 1e-130 and 1e126) is refused by DynamoDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

Item = dict[str, Any]
"""Attributes: str, int, float, bool and bytes."""

_WRITER: Final = TypeSerializer()
_READER: Final = TypeDeserializer()


def write_item(item: Item) -> dict[str, Any]:
    """Return *item* as the client wants it; what is None is left out."""
    return {name: write_value(value) for name, value in item.items() if value is not None}


def read_item(stored: Mapping[str, Any]) -> Item:
    """Return an item that the client, or a record of the stream, has given."""
    return {name: read_value(value) for name, value in stored.items()}


def write_value(value: Any) -> Any:
    """Return one value as the client wants it."""
    return _WRITER.serialize(Decimal(repr(value)) if isinstance(value, float) else value)


def read_value(stored: Any) -> Any:
    """Return one value that the client has given."""
    if "B" in stored:
        return bytes(stored["B"])
    value = _READER.deserialize(stored)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
