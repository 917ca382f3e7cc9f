"""A query with aggregates taken apart: its keys, its aggregates, and itself over rows of groups.

Some step makes one row for each group, of its keys and of ``__m0``, ``__m1``, … for its aggregates;
over these rows runs the query itself, its aggregates replaced by columns, its HAVING as a WHERE.
What can follow, such as a window over aggregates, then means the same as before.
"""

from __future__ import annotations

from typing import Final

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.split.keys import Key, meaning_of, read_keys, source_name
from engine.sql.split.shape import (
    bare_name,
    contains_star,
    contains_unnest,
    contains_window,
    integer,
    is_aggregate_call,
    is_plain_column,
    last_name,
    renamed_by,
    simple_names,
)
from engine.sql.split.steps import CannotSplit, SqlSteps
from engine.sql.split.tail import order_text, output_name, read_tail

_GROUPS: Final = "__g"


class Groups:
    """A query taken apart: its keys, its aggregates, and itself over the rows of groups."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.keys = read_keys(node)
        self.aggregates: list[Node] = []
        self.tail = read_tail(node)
        self._numbers: dict[str, int] = {}
        self._source = source_name(node)
        self._renamed = renamed_by(node)
        self._meanings = {text: key for key in self.keys for text in key.meanings}
        if simple_names(node["where_clause"]) & self._renamed.keys():
            raise CannotSplit("a condition on an alias")
        self._items = [self._item(item) for item in node["select_list"]]
        having = node["having"]
        if having and node["aggregate_handling"] == "FORCE_AGGREGATES":
            self._require_keys_alone(having)
        self._having = self._rewritten(having, is_substituting=True) if having else None
        self._qualify = self._rewritten(node["qualify"]) if node["qualify"] else None
        self._orders = [
            order
            if order["expression"]["class"] == "STAR" or self._is_alias(order["expression"])
            else {**order, "expression": self._rewritten(order["expression"])}
            for order in self.tail.orders
        ]

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the keys' columns."""
        return tuple(key.name for key in self.keys)

    def steps(self, map_: str, *, reduced: str, partition_by: tuple[str, ...]) -> SqlSteps:
        """Put together steps whose reduce makes complete groups.

        Args:
            map_: The first step.
            reduced: The SELECT of groups over ``input``.
            partition_by: As in the steps.
        """
        rows = f"WITH {_GROUPS} AS ({reduced})"
        if not self.keys or not self._needs_all:
            return SqlSteps(map_, partition_by, f"{rows} {self._over(_GROUPS)}")
        some = f"{rows} SELECT * FROM {_GROUPS}{self._where}{self._first}"
        return SqlSteps(map_, partition_by, some, self._over("input", is_filtered=True))

    def finished(self, groups: str) -> str:
        """Return the whole rest of the query over groups that are made in the same step."""
        return f"WITH {_GROUPS} AS ({groups}) {self._over(_GROUPS)}"

    @property
    def _needs_all(self) -> bool:
        tail = self.tail
        windows = contains_window([self._items, self._qualify, self._orders])
        return bool(tail.orders or tail.limit or tail.distinct or windows or self._qualify)

    @property
    def _where(self) -> str:
        return f" WHERE {ast.expression_text(self._having)}" if self._having else ""

    @property
    def _first(self) -> str:
        """ORDER BY and LIMIT for the groups of one reduce task, where these are enough."""
        tail = self.tail
        parts = [self._items, self._qualify, self._orders]
        if not tail.first or tail.distinct or self._qualify or contains_window(parts):
            return ""
        keys: list[tuple[str, Node]] = []
        for order in tail.orders:
            expression = order["expression"]
            if expression["class"] == "STAR":
                return ""
            meant = self._rewritten(self._ordered(expression), is_substituting=True)
            keys.append((ast.expression_text(meant), order))
        return order_text(keys) + tail.first

    def _ordered(self, expression: Node) -> Node:
        position = integer(expression)
        if position is None:
            if not self._is_alias(expression):
                return expression
            return {**self._renamed[last_name(expression).lower()], "alias": ""}
        if not 0 < position <= len(self._items):
            raise CannotSplit("an order by a position that there is not")
        return dict(self.node["select_list"][position - 1])

    def _require_keys_alone(self, having: Node) -> None:
        """Refuse what GROUP BY ALL takes for one more key: any column that HAVING reads."""
        if is_aggregate_call(having):
            return
        if having.get("class") != "COLUMN_REF":
            for part in ast.parts(having):
                self._require_keys_alone(part)
            return
        found = self._renamed.get(bare_name(having))
        key = self._meanings.get(meaning_of(having, self._source))
        is_alias_of_aggregate = found is not None and is_aggregate_call(found)
        is_plain_key = found is None and key is not None and key.is_plain
        if not is_alias_of_aggregate and not is_plain_key:
            raise CannotSplit("GROUP BY ALL and a condition on a column")

    def _is_alias(self, expression: Node) -> bool:
        """Whether an order is by an alias, which ORDER BY alone prefers to a column."""
        return bare_name(expression) in self._renamed

    def _over(self, source: str, *, is_filtered: bool = False) -> str:
        select = {
            **self.node,
            "select_list": self._items,
            "from_table": ast.table(source),
            "cte_map": {"map": []},
            "where_clause": None if is_filtered else self._having,
            "having": None,
            "group_expressions": [],
            "group_sets": [],
            "aggregate_handling": "STANDARD_HANDLING",
            "qualify": self._qualify,
            "modifiers": [
                {**modifier, "orders": self._orders}
                if modifier["type"] == "ORDER_MODIFIER"
                else modifier
                for modifier in self.node["modifiers"]
            ],
        }
        return ast.render(select)

    def _item(self, item: Node) -> Node:
        if contains_star(item) or contains_unnest(item):
            raise CannotSplit("a column that is several")
        rewritten = self._rewritten(item)
        if item["alias"] or not is_plain_column(item):
            return {**rewritten, "alias": output_name(item)}
        if last_name(rewritten).lower() != last_name(item).lower():
            raise CannotSplit("a column's own case is not known")
        return {**rewritten, "alias": ""}

    def _rewritten(self, expression: Node, *, is_substituting: bool = False) -> Node:
        """Return *expression* over rows of groups.

        Args:
            expression: As the query has it.
            is_substituting: Whether aliases are replaced by what they stand for.
        """
        key = self._meanings.get(meaning_of({**expression, "alias": ""}, self._source))
        if key is not None:
            return ast.column(key.name)
        if is_aggregate_call(expression):
            return ast.column(f"__m{self._number(expression)}")
        if is_plain_column(expression):
            names = expression["column_names"]
            found = self._renamed.get(str(names[0]).lower()) if len(names) == 1 else None
            if found is None:
                raise CannotSplit(f"{'.'.join(names)} is no key")
            if not is_substituting:
                return expression
            if last_name(expression).lower() in simple_names(found):
                raise CannotSplit("an alias of itself")
            return self._rewritten({**found, "alias": ""}, is_substituting=True)
        if expression.get("type") == "GROUPING_FUNCTION" or expression.get("class") == "STAR":
            raise CannotSplit("a function of the grouping")
        return ast.replaced(
            expression, lambda part: self._rewritten(part, is_substituting=is_substituting)
        )

    def _number(self, aggregate: Node) -> int:
        parts = [aggregate["arguments"], aggregate["filter"], aggregate["order_bys"]]
        if simple_names(parts) & self._renamed.keys():
            raise CannotSplit("an aggregate of an alias")
        if contains_star(parts) or contains_unnest(parts) or contains_window(parts):
            raise CannotSplit("an aggregate of several columns")
        if any(is_aggregate_call(part) for part in ast.walk(parts)):
            raise CannotSplit("an aggregate of an aggregate")
        text = ast.canonical(aggregate)
        if text not in self._numbers:
            self._numbers[text] = len(self.aggregates)
            self.aggregates.append({**aggregate, "alias": ""})
        return self._numbers[text]


def grouped_select(keys: tuple[Key, ...], values: list[str], source: str) -> str:
    """Return a SELECT of *keys* and *values*, grouped by the keys."""
    names = [ast.quoted(key.name) for key in keys]
    by = f" GROUP BY {', '.join(names)}" if names else ""
    return f"SELECT {', '.join([*names, *values])} FROM {source}{by}"
