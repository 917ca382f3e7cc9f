"""How often a document selects the same fields, measured before it is validated.

Validation compares every two fields of one name that end up in one place, with all that they
select, so a document of a few hundred words could keep it busy for long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

_ENOUGH: Final = 1_000_000
"""Numbers double with every fragment that spreads another twice; above this, they need not grow."""


@dataclass(frozen=True, slots=True)
class _Named:
    """The fields of one name in one place.

    Attributes:
        count: How many they are.
        size: How many fields they select, themselves included.
    """

    count: int
    size: int

    def __add__(self, other: _Named) -> _Named:
        return _Named(min(_ENOUGH, self.count + other.count), min(_ENOUGH, self.size + other.size))


_Fields: TypeAlias = Mapping[str, _Named]
_NOTHING: Final[_Fields] = {}


def comparisons_in(document: DocumentNode) -> int:
    """Return about how many pairs of fields validation will compare."""
    repetition = _Repetition(document)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            repetition.fields_of(node.selection_set)
    return repetition.comparisons


class _Repetition:
    def __init__(self, document: DocumentNode) -> None:
        self.comparisons = 0
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, _Fields] = {}

    def fields_of(self, selections: SelectionSetNode | None) -> _Fields:
        """Return what is selected in one place, and count the pairs in it."""
        if selections is None:
            return _NOTHING
        fields: dict[str, _Named] = {}
        self._collect(selections, fields, set())
        for named in fields.values():
            self.comparisons += (named.count - 1) * named.size // 2
        return fields

    def _collect(
        self, selections: SelectionSetNode, fields: dict[str, _Named], spread: set[str]
    ) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                inner = self.fields_of(node.selection_set)
                size = 1 + sum(named.size for named in inner.values())
                name = (node.alias or node.name).value
                _add(fields, {name: _Named(1, min(_ENOUGH, size))})
            elif isinstance(node, InlineFragmentNode):
                self._collect(node.selection_set, fields, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                _add(fields, self._fragment(node.name.value))

    def _fragment(self, name: str) -> _Fields:
        if name not in self._known:
            self._known[name] = _NOTHING  # for a fragment within itself, which is refused later
            fragment = self._fragments.get(name)
            self._known[name] = self.fields_of(fragment.selection_set) if fragment else _NOTHING
        return self._known[name]


def _add(fields: dict[str, _Named], more: _Fields) -> None:
    for name, named in more.items():
        known = fields.get(name)
        fields[name] = named if known is None else known + named
