"""ORDER BY and LIMIT at the end of a query: what tasks may do already, and what finish does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.split.shape import (
    contains_star,
    contains_unnest,
    integer,
    is_plain_column,
    last_name,
    renamed_by,
    simple_names,
)
from engine.sql.split.steps import CannotSplit

_DIRECTIONS: Final = {"ASCENDING": " ASC", "DESCENDING": " DESC", "ORDER_DEFAULT": ""}
_NULLS: Final = {"NULLS FIRST": " NULLS FIRST", "NULLS LAST": " NULLS LAST", "ORDER_DEFAULT": ""}


@dataclass(frozen=True, slots=True)
class Tail:
    """The modifiers of a query.

    Attributes:
        orders: As DuckDB's tree has them.
        distinct: Whether DISTINCT is asked for.
        limit: Text of the clause ``LIMIT … OFFSET …``, or nothing.
        first: Text of ``LIMIT n`` that keeps every row the clause above can want, or nothing.
    """

    orders: tuple[Node, ...]
    distinct: bool
    limit: str
    first: str


def read_tail(node: Node) -> Tail:
    """Return the modifiers of *node*.

    Raises:
        CannotSplit: They have DISTINCT ON, a percentage, or a computed limit.
    """
    orders: tuple[Node, ...] = ()
    distinct, limit, first = False, "", ""
    for modifier in node["modifiers"]:
        if modifier["type"] == "ORDER_MODIFIER":
            orders = tuple(modifier["orders"])
        elif modifier["type"] == "DISTINCT_MODIFIER" and not modifier["distinct_on_targets"]:
            distinct = True
        elif modifier["type"] == "LIMIT_MODIFIER" and modifier["limit_type"] == "ROW_COUNT":
            limit, first = _limits(modifier["limit"], modifier["offset"])
        else:
            raise CannotSplit(str(modifier["type"]))
    return Tail(orders, distinct, limit, first)


def _limits(limit: Node | None, offset: Node | None) -> tuple[str, str]:
    for part in (limit, offset):
        if part is not None and part["class"] != "PARAMETER" and integer(part) is None:
            raise CannotSplit("a computed limit")
    text = "".join(
        f" {word} {ast.expression_text(part)}"
        for word, part in (("LIMIT", limit), ("OFFSET", offset))
        if part is not None
    )
    if limit is None:
        return text, ""
    if offset is None:
        return text, f" LIMIT {ast.expression_text(limit)}"
    rows, skipped = integer(limit), integer(offset)
    if rows is None or skipped is None:
        return text, ""
    return text, f" LIMIT {rows + skipped}"


def order_text(keys: list[tuple[str, Node]]) -> str:
    """Return ``ORDER BY`` over SQL expressions, each with the directions of the order it is for."""
    if not keys:
        return ""
    parts = (f"{t}{_DIRECTIONS[o['type']]}{_NULLS[o['null_order']]}" for t, o in keys)
    return " ORDER BY " + ", ".join(parts)


def with_tail(node: Node) -> tuple[str, str | None]:
    """Take ORDER BY and LIMIT out of *node*.

    Returns:
        The SELECT for every task, which orders and cuts only where that saves rows, and the SELECT
        that finishes; None for it if there is nothing to finish.

    Raises:
        CannotSplit: The columns to order by, or the names of columns, are not known for sure.
    """
    tail = read_tail(node)
    if tail.distinct:
        raise CannotSplit("DISTINCT")
    if not tail.orders and not tail.limit:
        return ast.render(node), None
    if contains_unnest(node["select_list"]):
        raise CannotSplit("unnest in ordered columns")
    columns = _Columns(node)
    keys = [(columns.key(order["expression"], at), order) for at, order in enumerate(tail.orders)]
    order = order_text(keys)
    task = {**node, "select_list": columns.selected, "modifiers": []}
    text = ast.render(task)
    if tail.first and columns.is_plain_order:
        text += order + tail.first
    return text, f"SELECT {columns.finished} FROM input{order}{tail.limit}"


class _Columns:
    """Columns of a SELECT under names that finish can rely on."""

    def __init__(self, node: Node) -> None:
        self._items: list[Node] = node["select_list"]
        self._renamed = renamed_by(node)
        self._extra: list[Node] = []
        self.is_plain_order = True
        stars = [item for item in self._items if item["class"] == "STAR"]
        if any(contains_star(i) for i in self._items if i not in stars) or len(stars) > 1:
            raise CannotSplit("several stars")
        if any(s["columns"] or s["replace_list"] or s["rename_list"] for s in stars):
            raise CannotSplit("a star that changes columns")
        if stars and node["from_table"]["type"] == "JOIN":
            raise CannotSplit("a star over several tables")
        self._star = bool(stars)
        names = [_output_name(item) for item in self._items if item["class"] != "STAR"]
        distinct = len({name.lower() for name in names}) == len(names)
        self._is_renaming = bool(stars and names) or not distinct
        inner = simple_names([self._items, node["qualify"], node["where_clause"]])
        if self._is_renaming and inner & self._renamed.keys():
            raise CannotSplit("an alias used within")
        if self._is_renaming and any(_is_unnamed_column(item) for item in self._items):
            raise CannotSplit("a column's own case is not known")

    @property
    def selected(self) -> list[Node]:
        """What tasks select."""
        kept = [
            {**item, "alias": f"__c{at}"} if self._is_renaming and item["class"] != "STAR" else item
            for at, item in enumerate(self._items)
        ]
        return kept + self._extra

    @property
    def finished(self) -> str:
        """What finish selects."""
        extra = [str(item["alias"]) for item in self._extra]
        if not self._is_renaming:
            return f"* EXCLUDE ({', '.join(extra)})" if extra else "*"
        ours = [f"__c{at}" for at, item in enumerate(self._items) if item["class"] != "STAR"]
        parts = []
        for at, item in enumerate(self._items):
            if item["class"] == "STAR":
                parts.append(f"* EXCLUDE ({', '.join(ours + extra)})")
            else:
                parts.append(f"__c{at} AS {ast.quoted(_output_name(item))}")
        return ", ".join(parts)

    def key(self, expression: Node, at: int) -> str:
        """Return what finish orders by, for the *at*-th expression of ORDER BY."""
        if expression["class"] == "STAR":
            if self._extra or at:
                raise CannotSplit("ORDER BY ALL beside others")
            self.is_plain_order = False
            return "ALL"
        item = self._item(expression)
        if item is not None:
            if self._is_renaming:
                return f"__c{item}"
            found = self._items[item]
            if found.get("alias") or is_plain_column(found):
                return ast.quoted(_output_name(found))
            expression = found
        elif expression["class"] == "CONSTANT":
            raise CannotSplit("an order by a constant")
        elif simple_names(expression) & self._renamed.keys():
            raise CannotSplit("an order by an expression of an alias")
        if contains_star(expression):
            raise CannotSplit("an order by COLUMNS")
        self._extra.append({**expression, "alias": f"__o{at}"})
        return f"__o{at}"

    def _item(self, expression: Node) -> int | None:
        position = integer(expression)
        if position is not None:
            if self._star or not 0 < position <= len(self._items):
                raise CannotSplit("an order by the position of a column")
            return position - 1
        if not is_plain_column(expression):
            return None
        name = last_name(expression).lower()
        if len(expression["column_names"]) == 1:
            for at, item in enumerate(self._items):
                if str(item.get("alias") or "").lower() == name:
                    return at
        if self._star:
            return None
        wanted = ast.canonical(expression)
        for at, item in enumerate(self._items):
            if is_plain_column(item) and not item["alias"] and ast.canonical(item) == wanted:
                return at
        return None


def _is_unnamed_column(item: Node) -> bool:
    return is_plain_column(item) and not item["alias"]


def _output_name(item: Node) -> str:
    if item["alias"]:
        return str(item["alias"])
    if is_plain_column(item):
        return last_name(item)
    return output_name(item)


def output_name(item: Node) -> str:
    """Return what DuckDB calls the column of *item*, an expression other than a plain column.

    Raises:
        CannotSplit: It is not known.
    """
    if item["alias"]:
        return str(item["alias"])
    if item.get("type") == "STRUCT_EXTRACT" or contains_unnest(item):
        raise CannotSplit("a column whose name is not known")
    return ast.expression_text(item)
