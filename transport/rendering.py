"""What one subscription sends for a state: compiled where it can be, else by graphql-core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

import orjson
from graphql import (
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
)
from graphql.execution import get_argument_values

from engine.job import JobStatus
from schema.context import Context
from schema.masking import for_client
from schema.status import JobStatus as ShownStatus
from transport.group import Errors
from transport.operations import Operation, RequestError
from transport.projection import NotProjected, Projection

Render = Callable[[JobStatus], bytes]


class Asked:
    """A subscription as it was asked for: its root field, and what its variables come to.

    Attributes:
        field: The name of the root field.
        arguments: Its arguments by name; what was left out and has no default is missing.
        variables: All variables as canonical JSON.

    Raises:
        RequestError: The variables do not fit.
    """

    def __init__(
        self, operation: Operation, variables: Mapping[str, Any] | None, context: Context
    ) -> None:
        executor = operation.plan.executor(variables, context)
        if isinstance(executor, list):
            raise RequestError(_shown(executor))
        self._operation = operation
        self._given = variables
        self._context = context
        self._node = root_field(operation)
        self.field = self._node.name.value
        values = executor.variable_values
        self.variables = _tight(
            orjson.dumps(values.coerced, option=orjson.OPT_SORT_KEYS, default=repr)
        )
        definition = operation.plan.root_type.fields[self.field]
        try:
            self.arguments = get_argument_values(definition, self._node, values)
        except GraphQLError as exc:
            raise RequestError(_shown([exc])) from None

    def errors_of(self, error: Exception) -> Errors:
        """Return why there are no more states, as clients may see it."""
        return _shown(
            [GraphQLError(str(error), self._node, path=[self._key], original_error=error)]
        )

    def renderer(self, projections: Projections) -> Render:
        """Return what turns a state into a whole response as JSON."""
        if not self._operation.plan.selects_alike:
            return self._executed
        try:
            projection = projections.of(self._operation, self._node)
        except NotProjected:
            return self._executed
        key, dumps = self._key, orjson.dumps

        def render(status: JobStatus) -> bytes:
            try:
                return _tight(dumps({"data": {key: projection.of(status)}}))
            except NotProjected:
                return self._executed(status)

        return render

    @property
    def _key(self) -> str:
        return self._node.alias.value if self._node.alias else self.field

    def _executed(self, status: JobStatus) -> bytes:
        executor = self._operation.plan.executor(self._given, self._context)
        if isinstance(executor, list):
            raise RequestError(_shown(executor))
        event = executor.build_per_event_executor(ShownStatus.of(status))
        # Nothing of a status is awaited: its fields are plain values.
        result = cast("ExecutionResult", event.execute_operation(False))
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = _shown(result.errors)
        return orjson.dumps(answer)


def _tight(data: bytes) -> bytes:
    """Return a copy of what orjson wrote, which keeps 4 KiB for however little it is."""
    return bytes(memoryview(data))


class Projections:
    """What operations were compiled to; one for all that ask for the same."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Operation, Projection] = WeakKeyDictionary()

    def of(self, operation: Operation, field: FieldNode) -> Projection:
        """Return what the root field of *operation* was compiled to.

        Raises:
            NotProjected: It cannot be.
        """
        known = self._known.get(operation)
        if known is None:
            known = self._known[operation] = Projection(field, operation.fragments)
        return known


def _shown(errors: Iterable[GraphQLError]) -> Errors:
    return [cast("Mapping[str, Any]", for_client(error).formatted) for error in errors]


def root_field(operation: Operation) -> FieldNode:
    """Return the one field that a valid subscription has; it may stand in a fragment."""
    selections = [*operation.definition.selection_set.selections]
    while True:
        node = selections.pop(0)
        if isinstance(node, FieldNode):
            return node
        inner: InlineFragmentNode | FragmentDefinitionNode
        if isinstance(node, FragmentSpreadNode):
            inner = operation.fragments[node.name.value]
        else:
            inner = cast("InlineFragmentNode", node)
        selections[:0] = inner.selection_set.selections
