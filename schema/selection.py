"""Selection sets that leave nothing out, for callers who cannot tell what will be wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_required_argument,
)


def complete_selection(
    schema: GraphQLSchema, type_name: str, *, without: Collection[str] = ()
) -> str:
    """Return the selection set of every field below a type, such as ``{ id items { total } }``.

    Left out are fields that need an argument, and those of *without*, named like ``Job.tasks``.
    Where a union or an interface could be several things, ``__typename`` tells which.

    Raises:
        ValueError: The type holds itself, so that there is no end.
    """
    return _braced(_of(schema, schema.type_map[type_name], without, ()))


def _braced(parts: Iterator[str]) -> str:
    return "{ " + " ".join(parts) + " }"


def _of(
    schema: GraphQLSchema,
    type_: GraphQLNamedType,
    without: Collection[str],
    above: tuple[str, ...],
) -> Iterator[str]:
    if type_.name in above:
        raise ValueError(f"{' > '.join((*above, type_.name))}: a type that holds itself")
    above = (*above, type_.name)
    if is_abstract_type(type_):
        yield "__typename"
        for possible in schema.get_possible_types(type_):
            yield f"... on {possible.name} {_braced(_of(schema, possible, without, above))}"
        return
    assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)  # noqa: S101 - see above
    for name, field in type_.fields.items():
        if f"{type_.name}.{name}" not in without and not _needs_argument(field):
            inner = get_named_type(field.type)
            below = _braced(_of(schema, inner, without, above)) if is_composite_type(inner) else ""
            yield f"{name} {below}".rstrip()


def _needs_argument(field: GraphQLField) -> bool:
    return any(is_required_argument(argument) for argument in field.args.values())
