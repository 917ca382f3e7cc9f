"""Values of variables brought to their types by functions that are made once for each type.

They give what graphql-core would, or nothing: whatever is not plainly right is left to it, and with
it all that is to be said about what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from graphql import (
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
    is_leaf_type,
)

Coerce: TypeAlias = Callable[[Any], Any]

MAX_ENTRIES: Final = 100
_AS_IS: Final = "JSON"
_PLAIN: Final = {"String": str, "ID": str, "Boolean": bool}


class NotQuick(Exception):
    """A value or a type that is left to graphql-core."""


def quick(type_: GraphQLInputType) -> Coerce:
    """Return what brings a value to *type_*, or raises ``NotQuick``.

    Raises:
        NotQuick: The type has what this does not know.
    """
    if isinstance(type_, GraphQLNonNull):
        return _not_null(_present(type_.of_type))
    coerce = _present(type_)
    return lambda value: None if value is None else coerce(value)


def _not_null(coerce: Coerce) -> Coerce:
    def read(value: Any) -> Any:
        if value is None:
            raise NotQuick
        return coerce(value)

    return read


def _present(type_: Any) -> Coerce:
    if isinstance(type_, GraphQLList):
        return _list(type_.of_type)
    if isinstance(type_, GraphQLInputObjectType):
        return _object(type_)
    if not is_leaf_type(type_):
        raise NotQuick
    return _leaf(type_)


def _leaf(type_: GraphQLLeafType) -> Coerce:
    if type_.name == _AS_IS:
        return lambda value: value
    plain, coerce_slowly = _PLAIN.get(type_.name), type_.coerce_input_value

    def read(value: Any) -> Any:
        if type(value) is plain:
            return value
        try:
            coerced = coerce_slowly(value)
        except Exception as exc:
            raise NotQuick from exc
        if coerced is Undefined:
            raise NotQuick
        return coerced

    return read


def _list(entry: Any) -> Coerce:
    is_required = isinstance(entry, GraphQLNonNull)
    named = entry.of_type if is_required else entry
    if is_leaf_type(named) and named.name == _AS_IS:

        def read_any(value: Any) -> Any:
            if type(value) is not list or (is_required and None in value):
                raise NotQuick
            return value

        return read_any
    coerce = quick(entry)

    def read(value: Any) -> Any:
        if type(value) is not list or len(value) > MAX_ENTRIES:
            raise NotQuick
        return [coerce(part) for part in value]

    return read


def _object(type_: GraphQLInputObjectType) -> Coerce:
    fields = {name: _field(field) for name, field in type_.fields.items()}
    required = {name for name, field in type_.fields.items() if _is_required(field)}
    defaults = {
        name: field.default_value
        for name, field in type_.fields.items()
        if field.default_value is not Undefined
    }
    is_one_of = bool(type_.is_one_of)
    finish = None if type_.out_type is GraphQLInputObjectType.out_type else type_.out_type

    def read(value: Any) -> Any:
        if type(value) is not dict or not required <= value.keys():
            raise NotQuick
        if is_one_of and (len(value) != 1 or None in value.values()):
            raise NotQuick
        coerced = defaults.copy()
        try:
            for name, part in value.items():
                coerced[name] = fields[name](part)
            return coerced if finish is None else finish(coerced)
        except NotQuick:
            raise
        except Exception as exc:
            raise NotQuick from exc

    return read


def _field(field: GraphQLInputField) -> Coerce:
    if field.out_name is not None or field.default is not None:
        raise NotQuick
    if isinstance(field.default_value, list | dict):
        raise NotQuick  # each is to have its own
    return quick(field.type)


def _is_required(field: GraphQLInputField) -> bool:
    return isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined
