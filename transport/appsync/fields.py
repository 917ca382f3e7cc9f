"""The fields that AppSync asks for, each with the operation of our schema that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
)

from schema.selection import complete_selection

APART: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Job.counters": ("counters",),
        "Job.failures": ("failures",),
        "Job.report": ("report",),
        "Job.result": ("result",),
        "Job.tasks": ("tasks",),
        "JobResult.rows": ("result", "rows"),
    }
)
"""Fields of objects that are asked for by themselves, with their way from the job."""

JOB_ID: Final = "jobId"
"""Added to a result, so that who asks for its rows can tell whose they are."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field, and how it is answered.

    Attributes:
        name: Such as ``Query.job`` or ``Job.tasks``.
        document: The operation.
        path: Where in the operation's data the answer is.
        arguments: Names of the variables that are the field's arguments.
    """

    name: str
    document: str
    path: tuple[str, ...]
    arguments: frozenset[str]

    @property
    def is_of_job(self) -> bool:
        """Whether it is a field of a job that the event names as its source."""
        return self.name in APART

    def job_of(self, source: Mapping[str, Any]) -> Any:
        """Return the id of the job that *source* is, or belongs to."""
        return source[JOB_ID if self.name.startswith("JobResult.") else "id"]


def fields_of(schema: GraphQLSchema) -> dict[str, Field]:
    """Return every field that a function is asked for, by name."""
    found = [
        _root_field(schema, root, name, field)
        for root in (schema.query_type, schema.mutation_type)
        if root is not None
        for name, field in root.fields.items()
    ]
    found += [_job_field(schema, name, way) for name, way in APART.items()]
    return {field.name: field for field in found}


def _root_field(
    schema: GraphQLSchema, root: GraphQLObjectType, name: str, field: GraphQLField
) -> Field:
    kind = "query" if root is schema.query_type else "mutation"
    body = f"{name}{_passed(field)} {_selection(schema, field)}"
    document = f"{kind}{_declared(field)} {{ {body} }}"
    return Field(f"{root.name}.{name}", document, (name,), frozenset(field.args))


def _job_field(schema: GraphQLSchema, name: str, way: tuple[str, ...]) -> Field:
    type_name, _, field_name = name.partition(".")
    parent = schema.type_map[type_name]
    assert isinstance(parent, GraphQLObjectType)  # noqa: S101 - tells the type checker
    field = parent.fields[field_name]
    body = f"{field_name}{_passed(field)} {_selection(schema, field)}"
    for outer in reversed(way[:-1]):
        body = f"{outer} {{ {body} }}"
    declared = _declared(field, "$id: ID!")
    document = f"query{declared} {{ job(id: $id) {{ id {body} }} }}"
    return Field(name, document, ("job", *way), frozenset(field.args))


def _selection(schema: GraphQLSchema, field: GraphQLField) -> str:
    type_ = get_named_type(field.type)
    return complete_selection(schema, type_.name, without=APART) if is_composite_type(type_) else ""


def _declared(field: GraphQLField, *first: str) -> str:
    declared = [*first, *(f"${name}: {argument.type}" for name, argument in field.args.items())]
    return f"({', '.join(declared)})" if declared else ""


def _passed(field: GraphQLField) -> str:
    passed = ", ".join(f"{name}: ${name}" for name in field.args)
    return f"({passed})" if passed else ""
