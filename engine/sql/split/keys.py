"""The keys of GROUP BY: what map selects for each, and which expressions are that key."""

from __future__ import annotations

from dataclasses import dataclass

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.split.shape import (
    contains_aggregate,
    contains_star,
    contains_unnest,
    contains_window,
    integer,
    is_plain_column,
    last_name,
    renamed_by,
    simple_names,
)
from engine.sql.split.steps import CannotSplit


@dataclass(frozen=True, slots=True)
class Key:
    """One expression that rows are grouped by.

    Attributes:
        name: Of its column in map's rows; a plain column keeps the name that the source gives it.
        selected: How map selects it, with the name.
        grouped: How map groups by it.
        is_plain: Whether it is nothing but a column.
        meanings: Canonical texts of the expressions that are this key.
    """

    name: str
    selected: str
    grouped: str
    is_plain: bool
    meanings: frozenset[str]


def read_keys(node: Node) -> tuple[Key, ...]:
    """Return the keys by which *node* groups.

    Raises:
        CannotSplit: There are grouping sets, or what a key means depends on the schema.
    """
    if len(node["group_sets"]) > 1:
        raise CannotSplit("grouping sets")
    reader = _Reader(node)
    if node["aggregate_handling"] == "FORCE_AGGREGATES":
        if node["group_expressions"]:
            raise CannotSplit("GROUP BY ALL beside others")
        for item in node["select_list"]:
            if not contains_aggregate(item):
                reader.add(item)
    elif node["aggregate_handling"] != "STANDARD_HANDLING":
        raise CannotSplit(str(node["aggregate_handling"]))
    elif node["group_sets"] and len(node["group_sets"][0]) != len(node["group_expressions"]):
        raise CannotSplit("grouping sets")
    else:
        for expression in node["group_expressions"]:
            reader.add_named(expression)
    return reader.keys()


class _Reader:
    def __init__(self, node: Node) -> None:
        self._items: list[Node] = node["select_list"]
        self._renamed = renamed_by(node)
        self._source = _source_name(node["from_table"])
        self._keys: dict[str, Key] = {}
        self._by_alias: list[tuple[str, Node]] = []

    def add_named(self, expression: Node) -> None:
        """Add what GROUP BY names: a position, an alias, a column or an expression."""
        position = integer(expression)
        if position is not None:
            if not 0 < position <= len(self._items):
                raise CannotSplit("a group by a position that there is not")
            self.add(self._items[position - 1])
            return
        if is_plain_column(expression) and len(expression["column_names"]) == 1:
            item = self._renamed.get(last_name(expression).lower())
            if item is not None and last_name(expression).lower() not in simple_names(item):
                self._by_alias.append((last_name(expression), item))
                self._add_alias(last_name(expression), item)
                return
        self.add(expression)

    def add(self, item: Node) -> None:
        """Add an expression over columns."""
        _require_groupable(item)
        expression = {**item, "alias": ""}
        meaning = self._meaning(expression)
        if meaning in self._keys:
            if any(self._meaning({**i, "alias": ""}) == meaning for _, i in self._by_alias):
                raise CannotSplit("one key twice")
            return
        text = ast.expression_text(expression)
        plain = is_plain_column(expression)
        name, selected = last_name(expression) if plain else "", text
        if not plain and simple_names(expression) & self._renamed.keys():
            raise CannotSplit("a group by an expression of an alias")
        if not plain or name.lower() in self._renamed:
            # An alias of the same name would hide the column from ORDER BY.
            name = f"__k{len(self._keys)}"
            selected = f"{text} AS {name}"
        self._keys[meaning] = Key(name, selected, text, plain, frozenset({meaning}))

    def keys(self) -> tuple[Key, ...]:
        """Return all that was added."""
        keys = tuple(self._keys.values())
        if len({key.name.lower() for key in keys}) < len(keys):
            raise CannotSplit("two keys of one name")
        plain = {key.name.lower() for key in keys if key.is_plain}
        for name, item in self._by_alias:
            if simple_names(item) <= plain:
                raise CannotSplit(f"{name} may be a column as well")
        return keys

    def _add_alias(self, name: str, item: Node) -> None:
        # Were there such a column, DuckDB would group by it and refuse what the alias stands for;
        # in map it refuses just so.
        _require_groupable(item)
        if simple_names(item) & self._renamed.keys():
            raise CannotSplit("an alias of an alias")
        meaning = self._meaning({**item, "alias": ""})
        own = self._meaning(ast.column(name))
        if meaning in self._keys:
            raise CannotSplit("one key twice")
        text = ast.expression_text(item)
        quoted = ast.quoted(name)
        key = Key(name, f"{text} AS {quoted}", quoted, False, frozenset({meaning, own}))
        self._keys[meaning] = key

    def _meaning(self, expression: Node) -> str:
        return meaning_of(expression, self._source)


def meaning_of(expression: Node, source: str | None) -> str:
    """Return a text that is equal for expressions that DuckDB takes for the same.

    Args:
        expression: Over columns of a source.
        source: The source's name, whose mention before a column changes nothing.
    """
    if is_plain_column(expression):
        names = [str(name).lower() for name in expression["column_names"]]
        if len(names) == 2 and names[0] == source:
            return ast.canonical(ast.column(names[1]))
    return ast.canonical(expression)


def _source_name(source: Node) -> str | None:
    name = source.get("alias") or source.get("table_name")
    return str(name).lower() if name else None


def source_name(node: Node) -> str | None:
    """Return the name of the one source of *node*, in lower case."""
    return _source_name(node["from_table"])


def _require_groupable(item: Node) -> None:
    if not ast.column_refs(item):
        raise CannotSplit("a constant key")
    if contains_star(item) or contains_unnest(item):
        raise CannotSplit("a key that is several")
    if contains_aggregate(item) or contains_window(item):
        raise CannotSplit("a key that is computed over rows")
