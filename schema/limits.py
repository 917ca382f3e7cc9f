"""How large a document may be, and what keeps known documents cheap.

Strawberry's own alias and depth limits follow every fragment spread anew, so that a hundred
fragments that each spread the next one twice keep them busy for ever; ours look at each fragment
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValidationRule,
)
from strawberry.extensions import (
    AddValidationRules,
    MaxTokensLimiter,
    ParserCache,
    SchemaExtension,
    ValidationCache,
)

from schema.masking import VALIDATION_FAILED, coded

MAX_TOKENS: Final = 1_000
MAX_ALIASES: Final = 15
MAX_DEPTH: Final = 12
CACHED_DOCUMENTS: Final = 128
MAX_CACHED_LENGTH: Final = 16_384
"""Longer documents carry their data as literals; they rarely come twice and would fill memory."""


def extensions() -> list[Callable[[], SchemaExtension]]:
    """Return what makes the extensions of one operation."""
    return [
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        lambda: AddValidationRules([MaxAliasesRule, MaxDepthRule]),
        lambda: _ParserCache(maxsize=CACHED_DOCUMENTS),
        lambda: _Validation(maxsize=CACHED_DOCUMENTS),
    ]


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


def _is_cached(query: str | None) -> bool:
    return query is not None and len(query) <= MAX_CACHED_LENGTH


class _ParserCache(ParserCache):
    """Parses a short document once."""

    def on_parse(self) -> Iterator[None]:
        """Parse."""
        if _is_cached(self.execution_context.query):
            yield from super().on_parse()
        else:
            yield


class _Validation(ValidationCache):
    """Validates a short document once, and gives what is wrong with it a code."""

    def on_validate(self) -> Iterator[None]:
        """Validate."""
        context = self.execution_context
        validate = self.cached_validate_document
        if not _is_cached(context.query):
            validate = vars(validate)["__wrapped__"]
        errors: list[GraphQLError] = validate(
            context.schema._schema, context.graphql_document, context.validation_rules
        )
        context.pre_execution_errors = [coded(error, VALIDATION_FAILED) for error in errors]
        yield
