"""What an operation costs, estimated before it runs.

An object costs 2 and a scalar 1; what an object holds costs half as much again as it would outside,
so depth counts; and all within a page costs more the longer the page may be.

Source: graphql-armor's cost limit, with its numbers; pages are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

MAX_COST: Final = 5_000
OBJECT: Final = 2.0
SCALAR: Final = 1.0
DEPTH_FACTOR: Final = 1.5
PAGE: Final = 25
"""How many entries cost as much as an object that is no page; longer ones cost in proportion."""
MAX_PAGE: Final = 200
_LENGTH: Final = "first"


class Cost:
    """The cost of one operation, which must be valid.

    Attributes:
        varies: Whether it depends on variables.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        self.varies = False
        self._schema = schema
        self._operation = operation
        self._fragments = fragments
        self._variables: Mapping[str, Any] = {}
        self._known: dict[str, float] = {}

    def of(self, variables: Mapping[str, Any]) -> float:
        """Return it for *variables*, coerced, with their defaults."""
        self._variables, self._known = variables, {}
        root = self._schema.get_root_type(self._operation.operation)
        return self._inside(self._operation.selection_set, root)

    def _inside(self, selections: SelectionSetNode, parent: GraphQLNamedType | None) -> float:
        cost = 0.0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                cost += self._field(node, parent)
            elif isinstance(node, InlineFragmentNode):
                on = node.type_condition
                inner = parent if on is None else self._schema.get_type(on.name.value)
                cost += self._inside(node.selection_set, inner)
            elif isinstance(node, FragmentSpreadNode):
                cost += self._fragment(node.name.value)
        return cost

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> float:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return 0.0
        field = parent.fields.get(node.name.value)
        if field is None:  # of introspection, which has a limit of its own
            return 0.0
        if node.selection_set is None:
            return SCALAR
        inner = DEPTH_FACTOR * self._inside(node.selection_set, get_named_type(field.type))
        return OBJECT + inner * max(1.0, self._length(node, field) / PAGE)

    def _length(self, node: FieldNode, field: GraphQLField) -> float:
        """Return how many entries a field may have; 1 for one that is no page."""
        argument = field.args.get(_LENGTH)
        if argument is None:
            return 1
        given = next((a.value for a in node.arguments or () if a.name.value == _LENGTH), None)
        length: Any = argument.default_value
        if isinstance(given, IntValueNode):
            length = int(given.value)
        elif isinstance(given, VariableNode):
            self.varies = True
            length = self._variables.get(given.name.value, length)
        return min(length, MAX_PAGE) if isinstance(length, int) else PAGE

    def _fragment(self, name: str) -> float:
        if name not in self._known:
            fragment = self._fragments[name]
            on = self._schema.get_type(fragment.type_condition.name.value)
            self._known[name] = self._inside(fragment.selection_set, on)
        return self._known[name]
