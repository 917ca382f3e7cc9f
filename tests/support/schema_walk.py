"""Every place of a schema where a caller can name something, with an operation that does so.

Made from the schema itself, so that nobody can add a field and forget it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    get_named_type,
)

NAMING: Final = ("after",)
"""Arguments that are no ID and name something all the same."""
SAMPLES: Final[dict[str, dict[str, Any]]] = {
    "SubmitJobInput": {"program": "wordcount"},
    "SourceInput": {"inline": ["a b"]},
}
"""What an input needs although the schema cannot say so."""
OF_SCALARS: Final = {
    "ID": "j-1",
    "String": "name",
    "Int": 1,
    "Float": 1.0,
    "Boolean": True,
    "JSON": {},
    "URL": "https://a.test/",
    "DateTime": "2026-01-01T00:00:00Z",
}
DEPTH: Final = 4


@dataclass(frozen=True)
class Place:
    """A place where something can be named.

    Attributes:
        kind: ``query``, ``mutation`` or ``subscription``.
        field: The root field.
        path: The way to the place, from the argument on.
        is_list: Whether several are named there.
        document: The operation, with a variable for each argument that is used.
        others: Values of the other arguments that are needed.
    """

    kind: str
    field: str
    path: tuple[str, ...]
    is_list: bool
    document: str
    others: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.field}.{'.'.join(self.path)}"

    def naming(self, name: str) -> dict[str, Any]:
        """Return the variables that name *name* at this place."""
        variables: dict[str, Any] = {key: _copy(value) for key, value in self.others.items()}
        at = variables
        for step in self.path[:-1]:
            if step == "source":
                at[step] = {}
            at = at.setdefault(step, {})
        at[self.path[-1]] = [name] if self.is_list else name
        return variables


def places_of(schema: GraphQLSchema) -> Iterator[Place]:
    """Yield every place of every root field."""
    for kind, root in roots_of(schema):
        for name, field in root.fields.items():
            for path, is_list in _paths(field.args):
                used = [
                    arg for arg, given in field.args.items() if arg == path[0] or _is_needed(given)
                ]
                yield Place(
                    kind=kind,
                    field=name,
                    path=path,
                    is_list=is_list,
                    document=document_of(kind, name, field, used),
                    others=sample_of(field, used),
                )


def roots_of(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLObjectType]]:
    found = {
        "query": schema.query_type,
        "mutation": schema.mutation_type,
        "subscription": schema.subscription_type,
    }
    yield from ((kind, root) for kind, root in found.items() if root is not None)


def document_of(kind: str, name: str, field: GraphQLField, used: list[str]) -> str:
    """Return an operation that asks for all that a field has."""
    declared = ", ".join(f"${arg}: {field.args[arg].type}" for arg in used)
    given = ", ".join(f"{arg}: ${arg}" for arg in used)
    head = f"{kind}({declared})" if used else kind
    call = f"{name}({given})" if used else name
    return f"{head} {{ {call} {_selection(field.type, DEPTH)} }}"


def sample_of(field: GraphQLField, used: list[str]) -> dict[str, Any]:
    """Return values for the arguments that must be given."""
    return {arg: _sample(field.args[arg].type) for arg in used if _is_needed(field.args[arg])}


def _paths(
    given: dict[str, GraphQLArgument] | dict[str, GraphQLInputField],
) -> Iterator[tuple[tuple[str, ...], bool]]:
    for name, each in given.items():
        kind = get_named_type(each.type)
        is_list = "[" in str(each.type)
        if isinstance(kind, GraphQLInputObjectType):
            for path, inner_is_list in _paths(kind.fields):
                yield (name, *path), inner_is_list
        elif kind.name == "ID" or name in NAMING:
            yield (name,), is_list


def _is_needed(given: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(given.type, GraphQLNonNull) and given.default_value is Undefined


def _sample(kind: Any) -> Any:
    if isinstance(kind, GraphQLNonNull):
        return _sample(kind.of_type)
    if isinstance(kind, GraphQLList):
        return [_sample(kind.of_type)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        needed = {name: _sample(f.type) for name, f in kind.fields.items() if _is_needed(f)}
        return needed | SAMPLES.get(kind.name, {})
    return OF_SCALARS[kind.name]


def _selection(kind: Any, depth: int) -> str:
    kind = get_named_type(kind)
    if isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        return ""
    if isinstance(kind, GraphQLUnionType):
        members = (f"... on {each.name} {_selection(each, depth)}" for each in kind.types)
        return f"{{ {' '.join(members)} }}"
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    chosen = ["__typename"]
    for name, field in kind.fields.items():
        if any(_is_needed(arg) for arg in field.args.values()):
            continue
        inner = _selection(field.type, depth - 1) if depth else None
        is_leaf = isinstance(get_named_type(field.type), GraphQLScalarType | GraphQLEnumType)
        if is_leaf or inner:
            chosen.append(f"{name} {inner or ''}".strip())
    return f"{{ {' '.join(chosen)} }}"


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
