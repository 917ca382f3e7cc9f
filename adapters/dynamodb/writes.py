"""Writes to a table, and how the client is told of them: expressions, their names and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from boto3.dynamodb.conditions import Attr, ConditionBase, ConditionExpressionBuilder

from adapters.dynamodb.values import Item, read_value, write_item, write_value

ItemKey = tuple[str, str]
"""``pk`` and ``sk``."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does to an item, which is made if it is not there.

    Attributes:
        sets: Attributes and their values; None removes.
        adds: What is added to numbers, those that are not there being 0.
    """

    sets: Mapping[str, Any] = field(default_factory=dict)
    adds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Put:
    """Writes an item, whatever was there."""

    item: Item
    condition: ConditionBase | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Changes an item."""

    key: ItemKey
    change: Change
    condition: ConditionBase | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes an item; one that is not there stays so."""

    key: ItemKey
    condition: ConditionBase | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Writes nothing: the other writes of the same step are made only where it holds."""

    key: ItemKey
    condition: ConditionBase


Write = Put | Update | Delete | Check

IS_NEW: Final = Attr("pk").not_exists()
IS_KNOWN: Final = Attr("pk").exists()


def key_words(key: ItemKey) -> dict[str, Any]:
    """Return a key as the client wants it."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def key_of(stored: Mapping[str, Any]) -> ItemKey:
    """Return a key that the client has given."""
    return str(read_value(stored["pk"])), str(read_value(stored["sk"]))


def condition_words(
    name: str, condition: ConditionBase | None, *, is_key: bool = False
) -> dict[str, Any]:
    """Return an expression with its names and values; empty without a condition."""
    if condition is None:
        return {}
    built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=is_key)
    words: dict[str, Any] = {
        name: built.condition_expression,
        "ExpressionAttributeNames": dict(built.attribute_name_placeholders),
    }
    if built.attribute_value_placeholders:
        words["ExpressionAttributeValues"] = {
            placeholder: write_value(value)
            for placeholder, value in built.attribute_value_placeholders.items()
        }
    return words


def put_words(table: str, item: Item, condition: ConditionBase | None) -> dict[str, Any]:
    """Return what ``PutItem`` is told."""
    words = condition_words("ConditionExpression", condition)
    return {"TableName": table, "Item": write_item(item), **words}


def delete_words(table: str, key: ItemKey, condition: ConditionBase | None) -> dict[str, Any]:
    """Return what ``DeleteItem`` is told."""
    words = condition_words("ConditionExpression", condition)
    return {"TableName": table, "Key": key_words(key), **words}


def update_words(
    table: str, key: ItemKey, change: Change, condition: ConditionBase | None
) -> dict[str, Any]:
    """Return what ``UpdateItem`` is told, but for what it is to answer."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    clauses: dict[str, list[str]] = {"SET": [], "ADD": [], "REMOVE": []}

    def note(name: str, value: Any, clause: str, form: str) -> None:
        at = len(names)
        names[f"#u{at}"] = name
        if value is not None:
            values[f":u{at}"] = write_value(value)
        clauses[clause].append(form.format(at=at))

    for name, value in change.sets.items():
        if value is None:
            note(name, None, "REMOVE", "#u{at}")
        else:
            note(name, value, "SET", "#u{at} = :u{at}")
    for name, value in change.adds.items():
        if value:
            note(name, value, "ADD", "#u{at} :u{at}")
    expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
    words = condition_words("ConditionExpression", condition)
    found_names = {**words.pop("ExpressionAttributeNames", {}), **names}
    found_values = {**words.pop("ExpressionAttributeValues", {}), **values}
    words |= {"TableName": table, "Key": key_words(key), "UpdateExpression": expression}
    words["ExpressionAttributeNames"] = found_names
    if found_values:
        words["ExpressionAttributeValues"] = found_values
    return words


def transact_words(table: str, write: Write) -> dict[str, Any]:
    """Return what ``TransactWriteItems`` is told of one write."""
    match write:
        case Put(item, condition):
            return {"Put": put_words(table, item, condition)}
        case Update(key, change, condition):
            return {"Update": update_words(table, key, change, condition)}
        case Delete(key, condition):
            return {"Delete": delete_words(table, key, condition)}
        case Check(key, condition):
            return {"ConditionCheck": delete_words(table, key, condition)}
