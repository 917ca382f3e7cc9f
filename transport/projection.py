"""A selection of ``JobStatus`` compiled once, so that a state becomes JSON without an executor.

For each field what graphql-core would give; a test compares the two on many documents. Directives,
and fields that are not in the tables below, are left to graphql-core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)

from engine.job import JobStatus
from engine.status_json import write_instant

Getter: TypeAlias = Callable[[Any], Any]

_MAX_INT: Final = 2**31 - 1
"""A larger ``Int`` is an error, which graphql-core is to tell."""
_TYPENAME: Final = "__typename"


def _float(name: str) -> Getter:
    get = attrgetter(name)

    def read(source: Any) -> float | None:
        value = get(source)
        return None if value is None else float(value)

    return read


def _int(name: str) -> Getter:
    get = attrgetter(name)

    def read(source: Any) -> int | None:
        value: int | None = get(source)
        if value is not None and not -_MAX_INT <= value <= _MAX_INT:
            raise NotProjected(name)
        return value

    return read


def _rows(name: str) -> Getter:
    get = attrgetter(name)

    def read(source: Any) -> list[Any] | None:
        rows: list[Any] | None = get(source)
        if rows is not None and None in rows:
            raise NotProjected(name)  # not of type [JSON!]
        return rows

    return read


def _instant(name: str) -> Getter:
    get = attrgetter(name)
    return lambda source: write_instant(get(source))


_ITEMS: Final[Mapping[str, Getter]] = {
    name: _int(name) for name in ("total", "pending", "running", "succeeded", "failed", "skipped")
}
_TASKS: Final[Mapping[str, Getter]] = {
    name: _int(name) for name in ("total", "pending", "running", "succeeded", "failed", "retried")
}
_ERROR: Final[Mapping[str, Getter]] = {
    "code": attrgetter("code"),
    "message": attrgetter("message"),
    "retryable": attrgetter("retryable"),
    "taskId": attrgetter("task_id"),
}
_STATUS: Final[Mapping[str, Getter]] = {
    "id": attrgetter("id"),
    "version": _int("version"),
    "run": _int("run"),
    "state": attrgetter("state._value_"),  # as ``value``, which goes a long way round
    "phase": attrgetter("phase._value_"),
    "ratio": _float("ratio"),
    "etaSeconds": _float("eta_seconds"),
    "bytesRead": _float("bytes_read"),
    "bytesTotal": _float("bytes_total"),
    "partial": _rows("partial"),
    "coverage": _float("coverage"),
    "result": _rows("result"),
    "resultRows": _float("result_rows"),
    "resultBytes": _float("result_bytes"),
    "message": attrgetter("message"),
    "updatedAt": _instant("updated_at"),
}
_OBJECTS: Final[Mapping[str, tuple[str, Getter, Mapping[str, Getter]]]] = {
    "items": ("ItemCounts", attrgetter("items"), _ITEMS),
    "map": ("TaskCounts", attrgetter("map"), _TASKS),
    "reduce": ("TaskCounts", attrgetter("reduce"), _TASKS),
    "error": ("JobError", attrgetter("error"), _ERROR),
}


class NotProjected(Exception):
    """Something that only graphql-core gives the right answer to."""


class Projection:
    """Turns a status into what one selection asks for.

    Args:
        field: The root field with its selections.
        fragments: Of the document, by name.

    Raises:
        NotProjected: The selection has what this does not know.
    """

    def __init__(self, field: FieldNode, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._parts = tuple(self._status(field).items())

    def of(self, status: JobStatus) -> dict[str, Any]:
        """Return the selected fields by their response names.

        Raises:
            NotProjected: The state has a value that does not fit its type.
        """
        return {name: get(status) for name, get in self._parts}

    def _status(self, field: FieldNode) -> dict[str, Getter]:
        getters: dict[str, Getter] = {}
        nested: dict[str, tuple[str, dict[str, Getter]]] = {}
        for node in self._flat(field.selection_set, "JobStatus"):
            key, name = _names(node)
            if name in _OBJECTS:
                type_name, get, known = _OBJECTS[name]
                _, inner = nested.setdefault(key, (name, {}))
                if nested[key][0] != name:
                    raise NotProjected(key)
                for leaf in self._flat(node.selection_set, type_name):
                    inner_key, inner_name = _names(leaf)
                    inner[inner_key] = _leaf(known, inner_name, type_name)
                getters[key] = _object(get, inner)
            else:
                getters[key] = _leaf(_STATUS, name, "JobStatus")
        return getters

    def _flat(self, selections: SelectionSetNode | None, type_name: str) -> list[FieldNode]:
        """Return the fields of a selection with those of its fragments, in their order."""
        fields: list[FieldNode] = []
        for node in selections.selections if selections else ():
            if node.directives:
                raise NotProjected("a directive")
            fields += self._fields(node, type_name)
        return fields

    def _fields(self, node: SelectionNode, type_name: str) -> list[FieldNode]:
        if isinstance(node, FieldNode):
            return [node]
        if isinstance(node, FragmentSpreadNode):
            fragment = self._fragments[node.name.value]
            if fragment.directives:
                raise NotProjected("a directive")
            return self._inside(fragment.type_condition.name.value, fragment, type_name)
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            return self._inside(condition.name.value if condition else type_name, node, type_name)
        raise NotProjected("a kind of selection")

    def _inside(
        self, condition: str, node: FragmentDefinitionNode | InlineFragmentNode, type_name: str
    ) -> list[FieldNode]:
        if condition != type_name:
            raise NotProjected("a fragment on another type")
        return self._flat(node.selection_set, type_name)


def _names(node: FieldNode) -> tuple[str, str]:
    name = node.name.value
    return (node.alias.value if node.alias else name), name


def _leaf(known: Mapping[str, Getter], name: str, type_name: str) -> Getter:
    if name == _TYPENAME:
        return lambda _: type_name
    if name not in known:
        raise NotProjected(name)
    return known[name]


def _object(get: Getter, inner: Mapping[str, Getter]) -> Getter:
    parts = tuple(inner.items())

    def read(source: Any) -> dict[str, Any] | None:
        found = get(source)
        return None if found is None else {name: part(found) for name, part in parts}

    return read
