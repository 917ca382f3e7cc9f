"""GraphQL types as JSON Schemas, so that the REST face describes what the schema says and no other.

Source: JSON Schema 2020-12, as OpenAPI 3.1 takes it.
"""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)

_SCALARS: Final[dict[str, dict[str, Any]]] = {
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Float": {"type": "number"},
    "ID": {"type": "string"},
    "Int": {"type": "integer", "format": "int32"},
    "JSON": {},
    "String": {"type": "string"},
    "URL": {"type": "string", "format": "uri"},
}
_PLACE: Final = "#/components/schemas/"


class JsonSchemas:
    """Collects the schemas of the types that are asked for, and of all that they refer to.

    Args:
        schema: Where the types are.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.found: dict[str, Any] = {}

    def reference(self, name: str) -> dict[str, Any]:
        """Return a reference to the schema of the type *name*, which is described on the way."""
        if name in _SCALARS:
            return dict(_SCALARS[name])
        if name not in self.found:
            self.found[name] = {}  # types may refer to themselves
            self.found[name] = self._described(name)
        return {"$ref": _PLACE + name}

    def _described(self, name: str) -> dict[str, Any]:
        kind = self._schema.type_map[name]
        about = {"description": kind.description} if kind.description else {}
        if isinstance(kind, GraphQLEnumType):
            return {**about, "type": "string", "enum": list(kind.values)}
        if not isinstance(kind, GraphQLInputObjectType | GraphQLObjectType):
            raise TypeError(f"{name} has no form in JSON here")
        properties: dict[str, Any] = {}
        required: list[str] = []
        for field_name, field in kind.fields.items():
            properties[field_name] = self._field(field)
            if _is_required(field):
                required.append(field_name)
        found: dict[str, Any] = {**about, "type": "object", "properties": properties}
        if required:
            found["required"] = required
        if isinstance(kind, GraphQLInputObjectType):
            found["additionalProperties"] = False
            if kind.is_one_of:
                found |= {"minProperties": 1, "maxProperties": 1}
        return found

    def _field(self, field: GraphQLField | GraphQLInputField) -> dict[str, Any]:
        found = self._type(field.type)
        if field.description:
            found["description"] = field.description
        if isinstance(field, GraphQLInputField):
            default = _default_of(field)
            if default is not None:
                found["default"] = default
        return found

    def _type(self, kind: Any) -> dict[str, Any]:
        if isinstance(kind, GraphQLNonNull):
            return self._named(kind.of_type)
        found = self._named(kind)
        if "type" in found:
            return {**found, "type": [found["type"], "null"]}
        return {"anyOf": [found, {"type": "null"}]} if found else found

    def _named(self, kind: Any) -> dict[str, Any]:
        if isinstance(kind, GraphQLList):
            return {"type": "array", "items": self._type(kind.of_type)}
        return self.reference(kind.name)


def _is_required(field: GraphQLField | GraphQLInputField) -> bool:
    """Return whether a field is always there: every one of an answer, some of an input."""
    if isinstance(field, GraphQLField):
        return True
    return isinstance(field.type, GraphQLNonNull) and _default_of(field) is None


def _default_of(field: GraphQLInputField) -> Any:
    value = field.default_value
    return None if value is Undefined else value
