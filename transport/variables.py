"""Variables, brought to their types within bounds of time.

graphql-core looks at every entry of a list by itself. Lists of JSON values, of which a request may
have a hundred thousand, are therefore set aside and put back as they are; others are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableDefinitionNode,
    type_from_ast,
)
from graphql.execution import get_variable_values
from graphql.execution.get_variable_signature import (
    GraphQLVariableSignature,
    get_variable_signature,
)
from graphql.execution.values import VariableValues, VariableValueSource

from transport.quick_values import Coerce, NotQuick, quick

MAX_ENTRIES: Final = 10_000
"""Of a list of anything but JSON values."""
MAX_FAULTS: Final = 10
OPAQUE: Final = "JSON"
"""The scalar whose values are taken as they are."""

_Path = tuple[str, ...]
_Quick = dict[str, tuple[GraphQLVariableSignature, Coerce]]


class VariableTypes:
    """The types of one operation's variables.

    Args:
        schema: The operation is valid for it.
        definition: The operation.
    """

    def __init__(self, schema: GraphQLSchema, definition: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = definition.variable_definitions or ()
        self._types = {
            node.variable.name.value: cast("GraphQLInputType", type_from_ast(schema, node.type))
            for node in self._definitions
        }
        self._quick = _quick(schema, self._definitions, self._types)

    def coerce(
        self, given: Mapping[str, Any] | None, *, hide_suggestions: bool
    ) -> VariableValues | list[GraphQLError]:
        """Return the values by name, or what is wrong with them."""
        if self._quick is not None and given is not None:
            try:
                return _quickly(self._quick, given)
            except NotQuick:
                pass
        aside: dict[_Path, list[Any]] = {}
        try:
            values = {
                name: _bounded((given or {})[name], type_, (name,), aside)
                for name, type_ in self._types.items()
                if given and name in given
            }
        except GraphQLError as exc:
            return [exc]
        found = get_variable_values(
            self._schema,
            self._definitions,
            values,
            max_errors=MAX_FAULTS,
            hide_suggestions=hide_suggestions,
        )
        if isinstance(found, list):
            return [_without_values(error) for error in found]
        for path, items in aside.items():
            place: dict[str, Any] = found.coerced
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = items
        return found


def _without_values(error: GraphQLError) -> GraphQLError:
    """Return an error without what is repeated in it of objects, whose lists were set aside."""
    said, shown, value = error.message.partition(", found: {")
    if shown and value.endswith("}."):
        error.message = f"{said}."
    return error


def _quick(
    schema: GraphQLSchema,
    definitions: Sequence[VariableDefinitionNode],
    types: Mapping[str, GraphQLInputType],
) -> _Quick | None:
    """Return what coerces each variable, and its signature; None where graphql-core is needed."""
    found: _Quick = {}
    try:
        for node in definitions:
            signature = get_variable_signature(schema, node)
            if isinstance(signature, GraphQLError):
                return None
            found[signature.name] = signature, quick(types[signature.name])
    except NotQuick:
        return None
    return found


def _quickly(known: _Quick, given: Mapping[str, Any]) -> VariableValues:
    """Return the values of variables.

    Raises:
        NotQuick: Something is left to graphql-core, such as what was not given.
    """
    sources: dict[str, VariableValueSource] = {}
    coerced: dict[str, Any] = {}
    for name, (signature, coerce) in known.items():
        if name not in given:
            raise NotQuick
        value = given[name]
        sources[name] = VariableValueSource(signature, value)
        coerced[name] = coerce(value)
    return VariableValues(sources, coerced)


def _bounded(
    value: Any, type_: GraphQLInputType, path: _Path, aside: dict[_Path, list[Any]]
) -> Any:
    """Return *value* with less in it that takes long; what was taken out is put *aside*."""
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    if isinstance(type_, GraphQLInputObjectType) and isinstance(value, dict):
        if len(value) > len(type_.fields):
            raise _fault(path, f"'{type_.name}' has not as many fields.")
        return {
            name: _bounded(part, field.type, (*path, name), aside)
            if (field := type_.fields.get(name))
            else part
            for name, part in value.items()
        }
    if isinstance(type_, GraphQLList) and isinstance(value, list):
        return _bounded_list(value, type_.of_type, path, aside)
    return value


def _bounded_list(
    value: list[Any], entry: Any, path: _Path, aside: dict[_Path, list[Any]]
) -> list[Any]:
    is_required = isinstance(entry, GraphQLNonNull)
    named = entry.of_type if is_required else entry
    if isinstance(named, GraphQLScalarType) and named.name == OPAQUE:
        if is_required and None in value:
            raise _fault(path, f"entry {value.index(None)} must not be null.")
        aside[path] = value
        return []
    if len(value) > MAX_ENTRIES:
        raise _fault(path, f"more than {MAX_ENTRIES} entries are not allowed.")
    return value


def _fault(path: _Path, problem: str) -> GraphQLError:
    name, *rest = path
    place = "".join(f".{part}" for part in rest)
    return GraphQLError(
        f"Variable '${name}' has invalid value{f' at {place}' if place else ''}: {problem}"
    )
