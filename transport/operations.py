"""One way for every protocol from the text of an operation to its answer in JSON.

Owns the order (parse, validate, limit, execute, mask, serialise) and the cache of known documents.
Knows no protocol: what a status code, a message or an event looks like is not decided here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
)
from graphql.execution.values import VariableValues

from engine.tracer import UNTRACED, Tracer
from schema.build import Schema
from schema.context import Context
from schema.cost import MAX_COST, Cost
from schema.limits import MAX_TOKENS, faults_of
from schema.masking import BAD_REQUEST, PARSE_FAILED, VALIDATION_FAILED, coded, for_client
from transport.execution import Plan
from transport.projection import NotProjected
from transport.submission import Submission

CACHED_OPERATIONS: Final = 256
MAX_LENGTH: Final = 64 * 1024
MAX_CACHED_LENGTH: Final = 16 * 1024
"""Longer documents carry their data as literals; they rarely come twice and would fill memory."""

BODY_TOO_LARGE: Final = "BODY_TOO_LARGE"
REFUSED: Final = 400
"""The status of what is GraphQL, or nearly, but cannot be run."""

Kind: TypeAlias = Literal["query", "mutation", "subscription"]
Variables: TypeAlias = Mapping[str, Any]


class RequestError(Exception):
    """An operation that was not begun, or a subscription that cannot go on.

    Attributes:
        errors: As a GraphQL response shows them, each with ``extensions.code``.
        status: For HTTP.
        headers: For HTTP.
    """

    def __init__(
        self,
        errors: Sequence[Mapping[str, Any]],
        *,
        status: int = REFUSED,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("; ".join(str(error["message"]) for error in errors))
        self.errors = errors
        self.status = status
        self.headers = headers or {}

    @classmethod
    def of(
        cls,
        message: str,
        *,
        code: str = BAD_REQUEST,
        status: int = REFUSED,
        headers: Mapping[str, str] | None = None,
    ) -> RequestError:
        """Return one with a single error."""
        error = {"message": message, "extensions": {"code": code}}
        return cls([error], status=status, headers=headers)

    @classmethod
    def hiding(cls, exc: Exception) -> RequestError:
        """Return what callers may see of *exc*; the log gets the rest."""
        return cls(_formatted([GraphQLError(str(exc), original_error=exc)]), status=500)

    @property
    def payload(self) -> bytes:
        """The whole response as JSON."""
        return orjson.dumps({"errors": self.errors})


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Operation:
    """An operation that may be run; one object for all that ask for the same.

    Attributes:
        kind: What it is.
        name: As the document has it; None for one without.
        document: All of what was parsed.
        definition: The operation itself.
        fragments: The document's fragments by name.
        cost: What it costs.
        plan: How it is executed.
        submission: How it is executed for less; None where it cannot be.
    """

    kind: Kind
    name: str | None
    document: DocumentNode
    definition: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    cost: Cost
    plan: Plan
    submission: Submission | None


class Operations:
    """Prepares and runs operations; one for each process.

    Args:
        schema: What may be asked for.
        is_introspectable: Whether the schema itself may be asked for, and names that are nearly
            right are suggested.
        tracer: Opens a span for every query and mutation.
    """

    def __init__(
        self, schema: Schema, *, is_introspectable: bool = True, tracer: Tracer = UNTRACED
    ) -> None:
        self._schema = schema.graphql
        self._is_introspectable = is_introspectable
        self._tracer = tracer
        self._known: OrderedDict[tuple[str, str | None], Operation] = OrderedDict()

    def prepare(self, query: str, operation_name: str | None = None) -> Operation:
        """Return the operation of *query* that is named, or its only one.

        Raises:
            RequestError: The document cannot be read, is not valid or too large, or has no such
                operation.
        """
        key = (query, operation_name)
        operation = self._known.get(key)
        if operation is not None:
            self._known.move_to_end(key)
            return operation
        operation = self._prepare(query, operation_name)
        if len(query) <= MAX_CACHED_LENGTH:
            self._known[key] = operation
            if len(self._known) > CACHED_OPERATIONS:
                self._known.popitem(last=False)
        return operation

    async def run(
        self, operation: Operation, variables: Variables | None, context: Context
    ) -> bytes:
        """Run a query or mutation.

        Returns:
            The whole response as JSON.

        Raises:
            RequestError: The variables do not fit; nothing was run.
        """
        values = _values(operation, variables)
        with self._tracer.span(operation.kind):
            root: object = None
            if operation.submission is not None:
                root = await operation.submission.run(values.coerced, context)
                data = operation.submission.shown(root)
                if data is not None:
                    return orjson.dumps({"data": data})
            result = operation.plan.executor_of(values, context, root).execute_operation()
            if not isinstance(result, ExecutionResult):
                result = await result
        return _payload(result)

    def _prepare(self, query: str, operation_name: str | None) -> Operation:
        if len(query) > MAX_LENGTH:
            problem = f"The document is longer than {MAX_LENGTH // 1024} KiB; use variables."
            raise RequestError.of(problem, code=BODY_TOO_LARGE, status=413)
        try:
            document = parse(query, max_tokens=MAX_TOKENS)
            faults = faults_of(self._schema, document, is_introspectable=self._is_introspectable)
        except GraphQLError as exc:
            raise RequestError([coded(exc, PARSE_FAILED).formatted]) from None
        except RecursionError:
            raise RequestError.of("The document is nested too deeply.", code=PARSE_FAILED) from None
        if faults:
            raise RequestError([coded(fault, VALIDATION_FAILED).formatted for fault in faults])
        return self._operation(document, operation_name)

    def _operation(self, document: DocumentNode, name: str | None) -> Operation:
        definition = _definition(document, name)
        fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        cost = Cost(self._schema, definition, fragments)
        _check_cost(cost, {})
        plan = Plan(
            self._schema, document, definition, hide_suggestions=not self._is_introspectable
        )
        return Operation(
            kind=definition.operation.value,
            name=definition.name.value if definition.name else None,
            document=document,
            definition=definition,
            fragments=fragments,
            cost=cost,
            plan=plan,
            submission=_submission(plan),
        )


def _values(operation: Operation, variables: Variables | None) -> VariableValues:
    """Return the variables' values.

    Raises:
        RequestError: They do not fit, or make the operation cost too much.
    """
    values = operation.plan.values(variables)
    if isinstance(values, list):
        raise RequestError(_formatted(values))
    if operation.cost.varies:
        _check_cost(operation.cost, values.coerced)
    return values


def _submission(plan: Plan) -> Submission | None:
    if plan.definition.operation is not OperationType.MUTATION or not plan.selects_alike:
        return None
    try:
        return Submission(plan.schema, plan.definition, plan.fragment_definitions)
    except NotProjected:
        return None


def _definition(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    found = [
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        and (name is None or (node.name is not None and node.name.value == name))
    ]
    if not found:
        problem = "The document has no operation."
        raise RequestError.of(problem if name is None else f"Unknown operation named '{name:.80}'.")
    if len(found) > 1:
        raise RequestError.of("Must provide operation name if query contains multiple operations.")
    return found[0]


def _check_cost(cost: Cost, variables: Variables) -> None:
    amount = cost.of(variables)
    if amount > MAX_COST:
        problem = f"The operation costs {amount:.0f}, {MAX_COST} is allowed: ask for less at once."
        raise RequestError.of(problem, code=VALIDATION_FAILED)


def _payload(result: ExecutionResult) -> bytes:
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = _formatted(result.errors)
    return orjson.dumps(answer)


def _formatted(errors: Iterable[GraphQLError]) -> list[Mapping[str, Any]]:
    return [cast("Mapping[str, Any]", for_client(error).formatted) for error in errors]
