"""Columns that travel from map to reduce: states of partial aggregates, and moved expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.split.aggregates import Partial


class States:
    """Columns of partial aggregates, each kept once.

    Args:
        partials: Numbers of aggregates and how each is computed.
        prefix: Of the columns' names.
    """

    def __init__(self, partials: list[tuple[int, Partial]], *, prefix: str = "__a") -> None:
        self._columns: dict[str, str] = {}
        self._merges: dict[str, str] = {}
        self.finals: list[str] = []
        for number, partial in partials:
            names = []
            for state in partial.states:
                names.append(self._columns.setdefault(state, f"{prefix}{len(self._columns)}"))
            for name, merge in zip(names, partial.merges, strict=True):
                self._merges.setdefault(name, merge.format(*names))
            self.finals.append(f"{partial.final.format(*names)} AS __m{number}")

    @property
    def computed(self) -> list[str]:
        """What map selects."""
        return self.computed_of(self._columns)

    def computed_of(self, states: Iterable[str]) -> list[str]:
        """Return what selects some of the states."""
        return [f"{state} AS {self._columns[state]}" for state in states]

    @property
    def packed(self) -> str:
        """The states as a list of one struct, or nothing."""
        if not self._columns:
            return ""
        fields = ", ".join(f"'{name}': {state}" for state, name in self._columns.items())
        return f"[{{{fields}}}] AS __s"

    @property
    def unpacked(self) -> list[str]:
        """What selects the states out of ``packed``."""
        return [f"__s[1].{name} AS {name}" for name in self._columns.values()]

    @property
    def merged(self) -> list[str]:
        """What makes states of states."""
        return [f"{merge} AS {name}" for name, merge in self._merges.items()]


class Moved:
    """Expressions over columns of the source, each computed once, and where they are then found.

    Args:
        known: SQL of expressions that are computed already, and the names of their columns.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._names: dict[str, str] = {}

    @property
    def computed(self) -> list[str]:
        """What map selects."""
        return [f"{text} AS {name}" for text, name in self._names.items()]

    def expression(self, expression: Node) -> Node:
        """Return what *expression* is after the move."""
        if not ast.column_refs(expression):
            return expression
        text = ast.expression_text(expression)
        name = self._known.get(text) or self._names.setdefault(text, f"__v{len(self._names)}")
        return {**ast.column(name), "alias": expression["alias"]}

    def aggregate(self, aggregate: Node) -> Node:
        """Return *aggregate* over what was moved."""
        condition, orders = aggregate["filter"], aggregate["order_bys"]
        return {
            **aggregate,
            "arguments": [
                {**argument, "expression": self.expression(argument["expression"])}
                for argument in aggregate["arguments"]
            ],
            "filter": self.expression(condition) if condition else None,
            "order_bys": {
                **orders,
                "orders": [
                    {**order, "expression": self.expression(order["expression"])}
                    for order in orders["orders"]
                ],
            },
        }
