"""What the names of a SELECT mean, by DuckDB's rules, written down so that no doubt is left.

A name that is a column as well as an alias means the column in SELECT, WHERE, GROUP BY, QUALIFY and
in arguments of aggregates; in HAVING the alias, unless rows are grouped by that very column; in
ORDER BY the alias if the name stands alone, else the column. A resolved tree has every column with
its table before it, and aliases replaced by what they stand for or by positions; what stays a bare
name is the alias of a window or of several rows, and no column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.split.shape import (
    bare_name,
    contains_star,
    contains_unnest,
    contains_window,
    integer,
    is_aggregate_call,
    is_plain_column,
    last_name,
    simple_names,
)
from engine.sql.split.steps import CannotSplit
from engine.sql.split.tail import output_name

_SUBQUERY: Final = "__s"
_MAX_REPLACED: Final = 500
_NOTHING: Final = frozenset[str]()


def resolved(node: Node, columns: Sequence[str] | None) -> Node:
    """Return *node*, a SELECT over one source, with every name resolved.

    Args:
        node: The SELECT.
        columns: Names of ``input``'s columns; without them a name that is also an alias is only
            resolved where its own definition shows that there is such a column.

    Raises:
        CannotSplit: It is not known what some name means.
    """
    return _Resolver(node, columns).node()


class _Resolver:
    def __init__(self, node: Node, columns: Sequence[str] | None) -> None:
        source = node["from_table"]
        if source["type"] not in {"BASE_TABLE", "SUBQUERY"} or source["column_name_alias"]:
            raise CannotSplit("names of several tables")
        self._node = node
        self._source = str(source["alias"] or source.get("table_name", _SUBQUERY))
        ctes = {str(entry["key"]).lower(): entry["value"] for entry in node["cte_map"]["map"]}
        names = _names_of(source, ctes, columns)
        self._columns = None if names is None else {name.lower(): name for name in names}
        self._aliases = _aliases(node)
        self._replaced = 0
        self._within: list[str] = []
        if self._columns is None and any(p.get("class") == "LAMBDA" for p in ast.walk(node)):
            raise CannotSplit("names of a lambda")
        if self._is_column(self._source.lower()) and self._columns is not None:
            raise CannotSplit("a column named like its table")
        if self._source.lower() in self._aliases:
            raise CannotSplit("an alias named like the table")

    def node(self) -> Node:
        """Return the whole SELECT."""
        node = self._node
        written = self._expanded()
        items = [self._item(item) for item in written]
        groups = [self._group(expression, items) for expression in node["group_expressions"]]
        having = node["having"]
        return {
            **node,
            "from_table": {**node["from_table"], "alias": self._source}
            if node["from_table"]["type"] == "SUBQUERY"
            else node["from_table"],
            "select_list": items,
            "where_clause": self._optional(node["where_clause"]),
            "group_expressions": groups,
            "having": self._having(having, self._keys(items, groups)) if having else None,
            "qualify": self._optional(node["qualify"]),
            "modifiers": [self._modifier(modifier, written) for modifier in node["modifiers"]],
        }

    def _is_column(self, name: str) -> bool:
        if self._columns is not None:
            return name in self._columns
        item = self._aliases.get(name)
        if item is None or name in simple_names(item):
            return True
        raise CannotSplit(f"{name} may be a column as well")

    def _expanded(self) -> list[Node]:
        """Return the columns, with ``*`` as all names if windows follow it."""
        items: list[Node] = self._node["select_list"]
        if not contains_window([items, self._node["qualify"]]):
            return items
        found: list[Node] = []
        for item in items:
            if self._columns is not None and _is_whole_star(item):
                names = self._columns.values()
                found += [{**ast.column(self._source, name), "alias": name} for name in names]
            else:
                found.append(item)
        return found

    def _item(self, item: Node) -> Node:
        if item["class"] == "STAR" and not item["columns"] and not item["replace_list"]:
            return item
        if contains_star(item):
            raise CannotSplit("a column that is several")
        meant = self._plain(item)
        if item["alias"]:
            return {**meant, "alias": item["alias"]}
        if not is_plain_column(item):
            return {**meant, "alias": output_name(item)}
        own = last_name(meant) if is_plain_column(meant) else last_name(item)
        is_sure = self._columns is not None and last_name(item).lower() in self._aliases
        return {**meant, "alias": own if is_sure else ""}

    def _group(self, expression: Node, items: list[Node]) -> Node:
        if integer(expression) is not None:
            return expression
        name = bare_name(expression)
        if name in self._aliases and not self._is_column(name):
            return {**self._meant(expression, name), "alias": ""}
        return self._plain(expression)

    def _keys(self, items: list[Node], groups: list[Node]) -> set[str]:
        """Return the columns that rows are grouped by, in lower case."""
        keys = set()
        for group in groups:
            at = integer(group)
            meant = group if at is None or not 0 < at <= len(items) else items[at - 1]
            if is_plain_column(meant) and len(meant["column_names"]) == 2:
                keys.add(last_name(meant).lower())
        return keys

    def _having(self, tree: Node, keys: set[str]) -> Node:
        if is_aggregate_call(tree) or tree.get("class") == "LAMBDA":
            return self._plain(tree)
        name = bare_name(tree)
        if name and name in self._aliases and name not in keys:
            return self._meant(tree, name)
        if tree.get("class") == "COLUMN_REF":
            return self._plain(tree)
        return ast.replaced(tree, lambda part: self._having(part, keys))

    def _modifier(self, modifier: Node, items: list[Node]) -> Node:
        if modifier["type"] != "ORDER_MODIFIER":
            return modifier
        orders = [
            {**order, "expression": self._order(order["expression"], items)}
            for order in modifier["orders"]
        ]
        return {**modifier, "orders": orders}

    def _order(self, expression: Node, items: list[Node]) -> Node:
        if expression["class"] in {"STAR", "CONSTANT"}:
            return expression
        name = bare_name(expression)
        if name in self._aliases:
            if any(item["class"] == "STAR" for item in items):
                return expression
            own = ast.canonical(self._aliases[name])
            at = next(
                at
                for at, item in enumerate(items, 1)
                if item["alias"].lower() == name and ast.canonical(item) == own
            )
            return ast.parse_expression(str(at))
        return self._plain(expression)

    def _plain(self, tree: Node, bound: frozenset[str] = _NOTHING) -> Node:
        """Return *tree* where columns come before aliases.

        Args:
            tree: Any part of the SELECT.
            bound: Names, in lower case, that a lambda around it binds.
        """
        if tree.get("class") == "LAMBDA":
            names = simple_names(tree["lhs"])
            if tree["syntax_type"] == "SINGLE_ARROW" or self._source.lower() in names:
                raise CannotSplit("a lambda that may be something else")
            return {**tree, "expr": self._plain(tree["expr"], bound | names)}
        if tree.get("class") == "COLUMN_REF":
            return self._column(tree, bound)
        return ast.replaced(tree, lambda part: self._plain(part, bound))

    def _optional(self, tree: Node | None) -> Node | None:
        return self._plain(tree) if tree else None

    def _column(self, part: Node, bound: frozenset[str]) -> Node:
        names = [str(name) for name in part["column_names"]]
        first = names[0].lower()
        if first in bound:
            return part
        if len(names) > 1 and first == self._source.lower():
            if self._columns is not None and names[1].lower() not in self._columns:
                raise CannotSplit(f"there is no column {names[1]}")
            return {**part, "column_names": [self._source, self._exact(names[1]), *names[2:]]}
        if self._is_column(first):
            return {**part, "column_names": [self._source, self._exact(names[0]), *names[1:]]}
        if len(names) > 1 or first not in self._aliases:
            raise CannotSplit(f"{names[0]} is not known")
        return self._meant(part, first)

    def _meant(self, part: Node, name: str) -> Node:
        """Return what the alias *name* stands for, or *part*, which names it, as it is."""
        item = self._aliases[name]
        if contains_window(item) or contains_unnest(item):
            return part
        self._replaced += 1
        if name in self._within or self._replaced > _MAX_REPLACED:
            raise CannotSplit("aliases of aliases")
        self._within.append(name)
        meant = self._plain(item)
        self._within.pop()
        return {**meant, "alias": part["alias"]}

    def _exact(self, name: str) -> str:
        return name if self._columns is None else self._columns[name.lower()]


def _aliases(node: Node) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for item in node["select_list"]:
        alias = str(item.get("alias") or "").lower()
        if alias in found and ast.canonical(found[alias]) != ast.canonical(item):
            raise CannotSplit(f"two columns named {alias}")
        if alias:
            found[alias] = item
    return found


def _is_whole_star(item: Node) -> bool:
    changes = ("columns", "exclude_list", "replace_list", "rename_list", "qualified_exclude_list")
    return item["class"] == "STAR" and not any(item[change] for change in changes)


def _names_of(
    source: Node, ctes: Mapping[str, Node], columns: Sequence[str] | None
) -> Sequence[str] | None:
    """Return the names of a source's columns, or None if they are not known for sure."""
    if source["column_name_alias"]:
        return None
    if source["type"] == "BASE_TABLE":
        name = str(source["table_name"]).lower()
        if name not in ctes:
            return columns if name == "input" else None
        entry = ctes[name]
        if entry["aliases"]:
            return None
        earlier = dict(list(ctes.items())[: list(ctes).index(name)])
        return _names_selected(entry["query_node"], earlier, columns)
    if source["type"] == "SUBQUERY":
        return _names_selected(source["subquery"]["node"], ctes, columns)
    return None


def _names_selected(
    node: Node, ctes: Mapping[str, Node], columns: Sequence[str] | None
) -> Sequence[str] | None:
    if node["type"] != "SELECT_NODE" or node["cte_map"]["map"]:
        return None
    names: list[str] = []
    for item in node["select_list"]:
        if _is_whole_star(item):
            inner = _names_of(node["from_table"], ctes, columns)
            if inner is None:
                return None
            names += inner
        elif item["class"] == "STAR" or contains_star(item):
            return None
        else:
            names.append(_name_selected(item, node, ctes, columns))
    return names if len({name.lower() for name in names}) == len(names) else None


def _name_selected(
    item: Node, node: Node, ctes: Mapping[str, Node], columns: Sequence[str] | None
) -> str:
    if item["alias"]:
        return str(item["alias"])
    if not is_plain_column(item):
        return output_name(item)
    own = last_name(item)
    inner = _names_of(node["from_table"], ctes, columns) or ()
    return next((name for name in inner if name.lower() == own.lower()), own)
