"""``submitJob`` without an executor, for the selections that nearly all ask for.

The mutation runs as ever; only what it led to is put together by a compiled selection. Everything
else, each failure and what a compiled selection does not know, is shown by graphql-core, which is
given what the mutation led to and does not run it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
)

from engine.job import Job
from engine.status_json import write_instant
from resolvers.submit import Submitted
from schema.context import Context
from schema.mutation import Outcome, outcome_of
from transport.projection import NotProjected, Projection

Show: TypeAlias = Callable[[Any], Any]
Fragments: TypeAlias = Mapping[str, FragmentDefinitionNode]

_FIELD: Final = "submitJob"
_ARGUMENT: Final = "input"
_SUCCESS: Final = "SubmitJobSuccess"
_JOB: Final = "Job"
_STATUS: Final = "status"
_TYPENAME: Final = "__typename"


def _instant(name: str) -> Show:
    get = attrgetter(name)

    def show(job: Job) -> str | None:
        found = get(job)
        return None if found is None else write_instant(found)

    return show


def _of_spec(name: str) -> Show:
    get = itemgetter(name)
    return lambda job: get(job.spec)


_JOB_FIELDS: Final[Mapping[str, Show]] = {
    "id": attrgetter("id"),
    "name": _of_spec("name"),
    "tags": _of_spec("tags"),
    "spec": attrgetter("spec"),
    "submittedBy": attrgetter("submitted_by"),
    "createdAt": _instant("created_at"),
    "startedAt": _instant("started_at"),
    "finishedAt": _instant("finished_at"),
    "expiresAt": _instant("expires_at"),
    _TYPENAME: lambda _: _JOB,
}


class Submission:
    """One operation that submits a job.

    Args:
        schema: The operation is valid for it.
        definition: The operation, without directives.
        fragments: Of the document, by name.

    Raises:
        NotProjected: It has what this does not know.
    """

    def __init__(
        self, schema: GraphQLSchema, definition: OperationDefinitionNode, fragments: Fragments
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        root = self._flat([definition.selection_set], schema.mutation_type)
        if len(root) != 1 or root[0].name.value != _FIELD:
            raise NotProjected(_FIELD)
        field = root[0]
        self._key = _key_of(field)
        self._variable = _variable_of(field)
        success = schema.get_type(_SUCCESS)
        self._parts = self._compiled(self._flat([field.selection_set], success), self._success_leaf)

    async def run(self, variables: Mapping[str, Any], context: Context) -> Outcome | Exception:
        """Submit, and return what it led to; an exception is for graphql-core to raise.

        Args:
            variables: Coerced.
            context: The operation's.
        """
        data = dict(variables[self._variable])
        wait_up_to_ms = data.pop("waitUpToMs", None) or 0
        try:
            return await outcome_of(context, data, wait_up_to_ms=wait_up_to_ms)
        except Exception as exc:  # noqa: BLE001 - masked and logged where all others are
            return exc

    def shown(self, outcome: object) -> dict[str, Any] | None:
        """Return the data of the answer; None where graphql-core is to give it."""
        if not isinstance(outcome, Submitted):
            return None
        try:
            return {self._key: {name: show(outcome) for name, show in self._parts}}
        except NotProjected:
            return None

    def _success_leaf(self, name: str, nodes: list[FieldNode]) -> Show:
        if name == _TYPENAME:
            return lambda _: _SUCCESS
        if name == "created":
            return attrgetter("created")
        if name != "job":
            raise NotProjected(name)
        selected = self._flat([node.selection_set for node in nodes], self._schema.get_type(_JOB))
        parts = self._compiled(selected, self._job_leaf)
        return lambda submitted: {key: show(submitted.job) for key, show in parts}

    def _job_leaf(self, name: str, nodes: list[FieldNode]) -> Show:
        if name == _STATUS and len(nodes) == 1:
            projection = Projection(nodes[0], self._fragments)
            return lambda job: projection.of(job.status)
        if name not in _JOB_FIELDS:
            raise NotProjected(name)
        return _JOB_FIELDS[name]

    def _compiled(
        self, fields: Iterable[FieldNode], leaf: Callable[[str, list[FieldNode]], Show]
    ) -> list[tuple[str, Show]]:
        """Return what gives each value, by the name that it has in the answer."""
        same: dict[str, list[FieldNode]] = {}
        for node in fields:
            same.setdefault(_key_of(node), []).append(node)
        return [(key, leaf(nodes[0].name.value, nodes)) for key, nodes in same.items()]

    def _flat(self, selections: Iterable[SelectionSetNode | None], type_: Any) -> list[FieldNode]:
        """Return the fields that count for an object type, those of fragments in their places."""
        return [
            field
            for selected in selections
            for node in (selected.selections if selected else ())
            for field in self._fields(node, type_)
        ]

    def _fields(self, node: SelectionNode, type_: Any) -> list[FieldNode]:
        if isinstance(node, FieldNode):
            return [node]
        inside: InlineFragmentNode | FragmentDefinitionNode
        if isinstance(node, FragmentSpreadNode):
            inside = self._fragments[node.name.value]
        elif isinstance(node, InlineFragmentNode):
            inside = node
        else:
            raise NotProjected("a kind of selection")
        on = inside.type_condition
        if on is not None and not self._includes(on.name.value, type_):
            return []
        return self._flat([inside.selection_set], type_)

    def _includes(self, condition: str, type_: Any) -> bool:
        found: Any = self._schema.get_type(condition)
        if is_abstract_type(found):
            abstract: GraphQLAbstractType = found
            return self._schema.is_sub_type(abstract, type_)
        return bool(condition == type_.name)


def _key_of(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _variable_of(field: FieldNode) -> str:
    """Return the variable that brings the whole input."""
    for argument in field.arguments or ():
        if argument.name.value == _ARGUMENT and isinstance(argument.value, VariableNode):
            return argument.value.name.value
    raise NotProjected("an input that is written out")
