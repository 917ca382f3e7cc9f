"""How large a document may be.

Strawberry's own alias and depth limits follow every fragment spread anew, so that a hundred
fragments that each spread the next one twice keep them busy for ever; ours look at each fragment
once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValidationRule,
    specified_rules,
    validate,
)

from schema.repetition import comparisons_in

MAX_TOKENS: Final = 1_000
MAX_ALIASES: Final = 15
MAX_DEPTH: Final = 12
MAX_OPERATIONS: Final = 20
MAX_COMPARISONS: Final = 1_500
MAX_FAULTS: Final = 10
"""How many are looked for; each may quote much of the document."""


def faults_of(
    schema: GraphQLSchema, document: DocumentNode, *, is_introspectable: bool = True
) -> list[GraphQLError]:
    """Return what is wrong with *document*; nothing for one that may be run.

    Args:
        schema: What may be asked for.
        document: What is asked.
        is_introspectable: Whether the schema itself may be asked for, and is hinted at.
    """
    operations = sum(isinstance(n, OperationDefinitionNode) for n in document.definitions)
    if operations > MAX_OPERATIONS:
        return [GraphQLError(f"More than {MAX_OPERATIONS} operations are not allowed.")]
    if comparisons_in(document) > MAX_COMPARISONS:
        return [GraphQLError("The same fields are selected too often.")]
    rules = _RULES if is_introspectable else (*_RULES, NoSchemaIntrospectionCustomRule)
    return validate(
        schema, document, rules, max_errors=MAX_FAULTS, hide_suggestions=not is_introspectable
    )


class MaxAliasesRule(ValidationRule):
    """Refuses documents with more than 15 aliases, counted in every place they are spread to."""

    def enter_document(self, node: DocumentNode, *_args: Any) -> None:
        """Count."""
        measure = _Measure(node, _with_alias)
        aliases = sum(measure.of(operation) for operation in measure.operations)
        if aliases > MAX_ALIASES:
            # The number can have hundreds of digits.
            self.report_error(GraphQLError(f"More than {MAX_ALIASES} aliases are not allowed."))


class MaxDepthRule(ValidationRule):
    """Refuses operations with more than 12 fields inside one another.

    Introspection is left out; graphql-core has a rule of its own for it.
    """

    def enter_document(self, node: DocumentNode, *_args: Any) -> None:
        """Measure."""
        measure = _Measure(node, _one_deeper)
        for operation in measure.operations:
            depth = measure.of(operation)
            if depth > MAX_DEPTH:
                message = f"The operation is {depth} fields deep, {MAX_DEPTH} are allowed."
                self.report_error(GraphQLError(message, operation))


def _with_alias(field: FieldNode | None, inner: list[int]) -> int:
    return sum(inner) + (field is not None and field.alias is not None)


def _one_deeper(field: FieldNode | None, inner: list[int]) -> int:
    if field is None:
        return max(inner, default=0)
    return 0 if field.name.value.startswith("__") else 1 + max(inner, default=0)


class _Measure:
    """A number for every selection set, each fragment being looked at once.

    Args:
        combine: Gets a field, or None for a fragment or operation, and the numbers inside of it.
    """

    def __init__(
        self, document: DocumentNode, combine: Callable[[FieldNode | None, list[int]], int]
    ) -> None:
        self.operations = [
            node for node in document.definitions if isinstance(node, OperationDefinitionNode)
        ]
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._combine = combine
        self._known: dict[str, int] = {}

    def of(self, node: OperationDefinitionNode) -> int:
        return self._inside(node.selection_set)

    def _inside(self, selections: SelectionSetNode | None, field: FieldNode | None = None) -> int:
        inner = [self._selection(node) for node in selections.selections] if selections else []
        return self._combine(field, inner)

    def _selection(self, node: SelectionNode) -> int:
        if isinstance(node, FieldNode):
            return self._inside(node.selection_set, node)
        if isinstance(node, InlineFragmentNode):
            return self._inside(node.selection_set)
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        return 0

    def _fragment(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = 0  # for a fragment within itself, which another rule refuses
            fragment = self._fragments.get(name)
            self._known[name] = self._inside(fragment.selection_set) if fragment else 0
        return self._known[name]


_RULES: Final = (*specified_rules, MaxAliasesRule, MaxDepthRule)
