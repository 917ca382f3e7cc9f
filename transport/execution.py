"""graphql-core's executor, keeping for the next time what it finds out about an operation.

By itself it looks anew at every execution, so for a subscription at every event, which fields are
selected.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeGuard, cast

from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLList,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLTypeResolver,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    default_field_resolver,
    default_type_resolver,
    get_named_type,
    is_leaf_type,
    visit,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    FragmentDetails,
    collect_fields,
)
from graphql.execution.values import VariableValues
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.execution import optimized_is_awaitable

from transport.variables import VariableTypes

OBJECTS_A_TURN: Final = 4
_is_awaitable: Final = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


class Plan:
    """What is the same at every execution of an operation.

    Args:
        schema: The operation is valid for it.
        document: All of what was parsed.
        definition: The operation.
        hide_suggestions: Whether names that are nearly right are kept back.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        *,
        hide_suggestions: bool = False,
    ) -> None:
        self.schema = schema
        self.definition = definition
        self.hide_suggestions = hide_suggestions
        self.fragment_definitions = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.fragments = {
            name: FragmentDetails(node) for name, node in self.fragment_definitions.items()
        }
        root_type = schema.get_root_type(definition.operation)
        assert root_type is not None  # noqa: S101 - validation looks at it
        self.root_type: GraphQLObjectType = root_type
        self._variable_types = VariableTypes(schema, definition)
        self.selects_alike = not _has_directives(document)
        self.root_fields: CollectedFields | None = None
        self.sub_fields: dict[Any, tuple[FieldDetailsList, CollectedFields]] = {}

    def executor(
        self, variables: Mapping[str, Any] | None, context: object
    ) -> PlannedExecutor | list[GraphQLError]:
        """Return what executes the operation once, or its events, or why variables do not fit."""
        values = self.values(variables)
        return values if isinstance(values, list) else self.executor_of(values, context)

    def values(self, variables: Mapping[str, Any] | None) -> VariableValues | list[GraphQLError]:
        """Return the variables' values, brought to their types, or why they do not fit."""
        return self._variable_types.coerce(variables, hide_suggestions=self.hide_suggestions)

    def executor_of(
        self, values: VariableValues, context: object, root: object = None
    ) -> PlannedExecutor:
        """Return what executes the operation once, or its events.

        Args:
            values: Of its variables.
            context: For resolvers.
            root: What fields of the operation are fields of.
        """
        executor = PlannedExecutor(
            self.schema,
            self.fragment_definitions,
            self.fragments,
            root,
            context,
            self.definition,
            values,
            default_field_resolver,
            cast("GraphQLTypeResolver", default_type_resolver),
            default_field_resolver,
            is_awaitable=_is_awaitable,
            hide_suggestions=self.hide_suggestions,
        )
        executor.follow(self)
        return executor


class PlannedExecutor(Executor[Any]):
    """Executes by a plan. There is no middleware, no ``@defer`` and nothing that aborts."""

    _plan: Plan

    def follow(self, plan: Plan) -> None:
        """Use what *plan* knows, and tell it what it does not."""
        self._plan = plan
        if plan.selects_alike:
            self._relevant_sub_fields = plan.sub_fields

    def execute_operation(self, serially: bool | None = None) -> AwaitableOrValue[ExecutionResult]:
        """Execute the operation once; see ``Executor``."""
        plan = self._plan
        if serially is None:
            serially = plan.definition.operation is OperationType.MUTATION
        fields = self._root_fields().grouped_field_set
        try:
            result = self.execute_root_grouped_field_set(
                plan.root_type, self.root_value, fields, serially, None
            )
        except GraphQLError as error:
            return self._failed(error)
        if self.is_awaitable(result):
            return self._awaited(cast("Awaitable[dict[str, Any]]", result))
        return ExecutionResult(cast("dict[str, Any]", result), self.collected_errors.errors or None)

    def complete_list_value(
        self,
        return_type: GraphQLList[Any],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: AsyncIterable[Any] | Iterable[Any],
        position_context: Any,
    ) -> AwaitableOrValue[list[Any]]:
        """Complete a list; of one of objects, others have their turns after every few."""
        if isinstance(result, list) and len(result) > OBJECTS_A_TURN:
            if not is_leaf_type(get_named_type(return_type)):
                result = [_in_turn(item, at // OBJECTS_A_TURN) for at, item in enumerate(result)]
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    async def _awaited(self, result: Awaitable[dict[str, Any]]) -> ExecutionResult:
        try:
            data = await result
        except GraphQLError as error:
            return self._failed(error)
        return ExecutionResult(data, self.collected_errors.errors or None)

    def _failed(self, error: GraphQLError) -> ExecutionResult:
        self.collected_errors.add(error, None)
        return ExecutionResult(None, self.collected_errors.errors)

    def _root_fields(self) -> CollectedFields:
        plan = self._plan
        if plan.root_fields is not None and plan.selects_alike:
            return plan.root_fields
        plan.root_fields = collect_fields(
            self.schema,
            self.fragments,
            self.variable_values,
            plan.root_type,
            self.operation,
            self.hide_suggestions,
        )
        return plan.root_fields


async def _in_turn(item: Any, turn: int) -> Any:
    for _ in range(turn):
        await asyncio.sleep(0)
    return item


class _DirectiveFinder(Visitor):
    found = False

    def enter_directive(self, _node: DirectiveNode, *_args: Any) -> None:
        self.found = True


def _has_directives(document: DocumentNode) -> bool:
    """Return whether variables may decide what is selected."""
    finder = _DirectiveFinder()
    visit(document, finder)
    return finder.found
