"""The AppSync variant of the schema, derived from the served SDL by rule.

1. ``DateTime``, ``JSON`` and ``URL`` become ``AWSDateTime``, ``AWSJSON`` and ``AWSURL``; there are
   no scalar and no directive definitions.
2. ``@oneOf`` and ``@specifiedBy`` go; resolvers check what they said.
3. Defaults go, because AppSync knows none; what had one becomes nullable. The engine fills them in.
4. ``JobStatus`` has ``tenant`` and ``tags``: AppSync filters by fields of what is published.
5. ``publishJobStatus`` is added, for the publisher alone, with inputs that mirror ``JobStatus``.
6. ``jobStatus`` and ``jobFeed`` are fed by it and nullable, since AppSync gives subscribers null
   for what it withholds.
7. Every type carries every mode in which callers sign in; forgetting one gives null fields.

Everything else, descriptions too, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from graphql import (
    REMOVE,
    ConstDirectiveNode,
    DefinitionNode,
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    FieldDefinitionNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    NameNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    StringValueNode,
    TypeNode,
    Visitor,
    VisitorAction,
    parse,
    print_ast,
    visit,
)

from schema.selection import complete_selection

SCALARS: Final = {"DateTime": "AWSDateTime", "JSON": "AWSJSON", "URL": "AWSURL"}
PUBLISHER_MODE: Final = "aws_iam"
SIGN_IN_MODES: Final = (PUBLISHER_MODE, "aws_api_key", "aws_lambda")
"""How callers sign in. AppSync refuses modes that an API has not switched on, so this is what
``deploy/`` switches on, and no more."""
FILTERED: Final = """
type JobStatus {
  "Whose job it is."
  tenant: String!
  "The job's."
  tags: [String!]!
}
"""
STATUS: Final = "JobStatus"
PUBLISH: Final = "publishJobStatus"
_DROPPED_DIRECTIVES: Final = frozenset({"oneOf", "specifiedBy"})

D = TypeVar("D", bound=DefinitionNode)


def appsync_sdl(served: str, *, modes: Sequence[str] = SIGN_IN_MODES) -> str:
    """Derive the AppSync variant.

    Args:
        served: The served SDL.
        modes: Names of the directives of the modes in which callers sign in.
    """
    document: DocumentNode = visit(parse(served, no_location=True), _Translator())
    objects = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, ObjectTypeDefinitionNode)
    }
    objects[STATUS] = _filterable(objects[STATUS])
    reached = _reached(objects, STATUS)
    directives = tuple(_directive(mode) for mode in modes)
    definitions = [_adapted(node, directives) for node in document.definitions]
    definitions += [_mirror(objects[name], reached) for name in reached]
    return print_ast(DocumentNode(definitions=tuple(definitions))) + "\n"


def publish_document(served: GraphQLSchema) -> str:
    """Return the mutation that publishes a state.

    Its selection is complete: AppSync gives subscribers nothing that the publisher did not select.
    """
    selection = complete_selection(served, STATUS).removeprefix("{")
    return (
        f"mutation Publish($input: Publish{STATUS}Input!)"
        f" {{ {PUBLISH}(input: $input) {{ tenant tags{selection} }}"
    )


class _Translator(Visitor):
    """Applies the rules that need to know nothing but the node itself."""

    def enter_scalar_type_definition(
        self, _node: ScalarTypeDefinitionNode, *_args: Any
    ) -> VisitorAction:
        return REMOVE

    def enter_directive_definition(
        self, _node: DirectiveDefinitionNode, *_args: Any
    ) -> VisitorAction:
        return REMOVE

    def enter_directive(self, node: DirectiveNode, *_args: Any) -> VisitorAction:
        return REMOVE if node.name.value in _DROPPED_DIRECTIVES else None

    def enter_named_type(self, node: NamedTypeNode, *_args: Any) -> NamedTypeNode | None:
        name = SCALARS.get(node.name.value)
        return replace(node, name=NameNode(value=name)) if name else None

    def leave_input_value_definition(
        self, node: InputValueDefinitionNode, *_args: Any
    ) -> InputValueDefinitionNode | None:
        if node.default_value is None:
            return None
        return replace(node, default_value=None, type=_nullable(node.type))


def _nullable(type_: TypeNode) -> Any:
    return type_.type if isinstance(type_, NonNullTypeNode) else type_


def _named(type_: TypeNode) -> NamedTypeNode:
    while isinstance(type_, NonNullTypeNode | ListTypeNode):
        type_ = type_.type
    assert isinstance(type_, NamedTypeNode)  # noqa: S101 - tells the type checker
    return type_


def _reached(objects: dict[str, ObjectTypeDefinitionNode], start: str) -> list[str]:
    """Return the names of the object types that can be selected from *start*, itself first."""
    names = [start]
    for name in names:
        inner = (_named(field.type).name.value for field in objects[name].fields or ())
        names += dict.fromkeys(name for name in inner if name in objects and name not in names)
    return names


def _filterable(status: ObjectTypeDefinitionNode) -> ObjectTypeDefinitionNode:
    (more,) = parse(FILTERED, no_location=True).definitions
    assert isinstance(more, ObjectTypeDefinitionNode)  # noqa: S101 - tells the type checker
    return replace(status, fields=(*(status.fields or ()), *(more.fields or ())))


def _adapted(node: DefinitionNode, modes: tuple[ConstDirectiveNode, ...]) -> DefinitionNode:
    if not isinstance(node, ObjectTypeDefinitionNode):
        return node
    name = node.name.value
    if name == STATUS:
        node = _filterable(node)
    elif name == "Mutation":
        node = replace(node, fields=(*(node.fields or ()), _publish()))
    elif name == "Subscription":
        node = replace(node, fields=tuple(_fed(field) for field in node.fields or ()))
    return replace(node, directives=(*(node.directives or ()), *modes))


def _publish() -> FieldDefinitionNode:
    argument = InputValueDefinitionNode(
        name=NameNode(value="input"),
        type=NonNullTypeNode(type=_type_of(_input_name(STATUS))),
    )
    return FieldDefinitionNode(
        description=StringValueNode(value="Internal. The publisher only."),
        name=NameNode(value=PUBLISH),
        arguments=(argument,),
        type=_type_of(STATUS),
        directives=(_directive(PUBLISHER_MODE),),
    )


def _fed(field: FieldDefinitionNode) -> FieldDefinitionNode:
    """Feed a subscription by what workers publish."""
    (feed,) = _directives_of(f'@aws_subscribe(mutations: ["{PUBLISH}"])')
    return replace(field, type=_nullable(field.type), directives=(*(field.directives or ()), feed))


def _mirror(node: ObjectTypeDefinitionNode, reached: list[str]) -> InputObjectTypeDefinitionNode:
    """Make an input with the same fields; ``JobStatus`` gives ``PublishJobStatusInput``."""
    return InputObjectTypeDefinitionNode(
        name=NameNode(value=_input_name(node.name.value)),
        fields=tuple(
            InputValueDefinitionNode(name=field.name, type=_mirror_type(field.type, reached))
            for field in node.fields or ()
        ),
    )


def _mirror_type(type_: TypeNode, reached: list[str]) -> Any:
    if isinstance(type_, NamedTypeNode):
        name = type_.name.value
        return _type_of(_input_name(name)) if name in reached else type_
    if isinstance(type_, NonNullTypeNode | ListTypeNode):
        return replace(type_, type=_mirror_type(type_.type, reached))
    raise TypeError(f"not a type: {type_!r}")


def _input_name(name: str) -> str:
    return f"Publish{name}Input" if name == STATUS else f"{name}Input"


def _type_of(name: str) -> NamedTypeNode:
    return NamedTypeNode(name=NameNode(value=name))


def _directive(name: str) -> ConstDirectiveNode:
    (node,) = _directives_of(f"@{name}")
    return node


def _directives_of(text: str) -> Iterator[ConstDirectiveNode]:
    (node,) = parse(f"scalar S {text}", no_location=True).definitions
    assert isinstance(node, ScalarTypeDefinitionNode)  # noqa: S101 - tells the type checker
    yield from node.directives or ()
