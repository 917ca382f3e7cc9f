"""Queries that make groups of rows: partial aggregates, rows that meet, or distinct pairs.

All three end alike. Some step makes one row for each group, of its keys and of ``__m0``, ``__m1``,
… for its aggregates; over these rows runs the query itself, its aggregates replaced by columns, its
HAVING as a WHERE. What can follow, such as a window over aggregates, then means the same as before.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.sql import ast
from engine.sql.aggregates import Partial, counts_values_once, partial_of
from engine.sql.ast import Node
from engine.sql.keys import Key, meaning_of, read_keys, source_name
from engine.sql.shape import (
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
from engine.sql.sqlsteps import CannotSplit, SqlSteps
from engine.sql.tail import order_text, output_name, read_tail

_GROUPS = "__g"


def split_grouped(node: Node, *, dedupe: bool) -> SqlSteps:
    """Split a SELECT with aggregates or GROUP BY over a row-wise source.

    Args:
        node: The SELECT.
        dedupe: Whether map already drops repeated values that are to be counted once.

    Raises:
        CannotSplit: It is not known how.
    """
    groups = _Groups(node)
    partials = [partial_of(aggregate) for aggregate in groups.aggregates]
    if any(partial is None for partial in partials):
        return _shuffled(groups)
    known = [partial for partial in partials if partial is not None]
    if any(counts_values_once(aggregate) for aggregate in groups.aggregates):
        if all(_can_pair(aggregate) for aggregate in groups.aggregates):
            return _paired(groups, known, dedupe=dedupe)
        return _shuffled(groups)
    return _merged(groups, known)


class _Groups:
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

    def _is_alias(self, expression: Node) -> bool:
        """Whether an order is by an alias, which ORDER BY alone prefers to a column."""
        is_name = is_plain_column(expression) and len(expression["column_names"]) == 1
        return is_name and last_name(expression).lower() in self._renamed

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
        if last_name(rewritten) != last_name(item):
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
        return {
            name: self._rewritten_value(value, is_substituting=is_substituting)
            for name, value in expression.items()
        }

    def _rewritten_value(self, value: object, *, is_substituting: bool) -> object:
        if isinstance(value, dict):
            return self._rewritten(value, is_substituting=is_substituting)
        if isinstance(value, list):
            return [self._rewritten_value(v, is_substituting=is_substituting) for v in value]
        return value

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


class _States:
    """Columns of partial aggregates, each kept once."""

    def __init__(self, partials: list[tuple[int, Partial]]) -> None:
        self._columns: dict[str, str] = {}
        self._merges: dict[str, str] = {}
        self.finals: list[str] = []
        for number, partial in partials:
            names = []
            for state in partial.states:
                names.append(self._columns.setdefault(state, f"__a{len(self._columns)}"))
            for name, merge in zip(names, partial.merges, strict=True):
                self._merges.setdefault(name, merge.format(*names))
            self.finals.append(f"{partial.final.format(*names)} AS __m{number}")

    @property
    def computed(self) -> list[str]:
        return self.computed_of(self._columns)

    def computed_of(self, states: Iterable[str]) -> list[str]:
        return [f"{state} AS {self._columns[state]}" for state in states]

    @property
    def merged(self) -> list[str]:
        return [f"{merge} AS {name}" for name, merge in self._merges.items()]


def _merged(groups: _Groups, partials: list[Partial]) -> SqlSteps:
    states = _States(list(enumerate(partials)))
    map_ = _partial_rows(groups, states.computed)
    reduced = _grouped_select(groups.keys, states.finals, "input")
    return groups.steps(map_, reduced=reduced, partition_by=groups.key_names)


def _partial_rows(groups: _Groups, computed: list[str]) -> str:
    selected = ", ".join([*(key.selected for key in groups.keys), *computed])
    grouped = ", ".join(key.grouped for key in groups.keys)
    by = f" GROUP BY {grouped}" if grouped else ""
    return ast.graft(f"SELECT {selected}{by}", groups.node)


def _grouped_select(keys: tuple[Key, ...], values: list[str], source: str) -> str:
    names = [ast.quoted(key.name) for key in keys]
    by = f" GROUP BY {', '.join(names)}" if names else ""
    return f"SELECT {', '.join([*names, *values])} FROM {source}{by}"


def _shuffled(groups: _Groups) -> SqlSteps:
    values: dict[str, str] = {}

    def moved(expression: Node) -> Node:
        if not ast.column_refs(expression):
            return expression
        text = ast.expression_text(expression)
        name = values.setdefault(text, f"__v{len(values)}")
        return {**ast.column(name), "alias": expression["alias"]}

    finals = []
    for number, aggregate in enumerate(groups.aggregates):
        orders = aggregate["order_bys"]
        over = {
            **aggregate,
            "arguments": [
                {**argument, "expression": moved(argument["expression"])}
                for argument in aggregate["arguments"]
            ],
            "filter": moved(aggregate["filter"]) if aggregate["filter"] else None,
            "order_bys": {
                **orders,
                "orders": [{**o, "expression": moved(o["expression"])} for o in orders["orders"]],
            },
        }
        finals.append(f"{ast.expression_text(over)} AS __m{number}")
    selected = [key.selected for key in groups.keys]
    selected += [f"{text} AS {name}" for text, name in values.items()]
    map_ = ast.graft(f"SELECT {', '.join(selected) or '1 AS __v0'}", groups.node)
    reduced = _grouped_select(groups.keys, finals, "input")
    return groups.steps(map_, reduced=reduced, partition_by=groups.key_names)


def _can_pair(aggregate: Node) -> bool:
    return not counts_values_once(aggregate) or len(aggregate["arguments"]) == 1


def _paired(groups: _Groups, partials: list[Partial], *, dedupe: bool) -> SqlSteps:
    """Split by values to be counted once: pairs of keys and value meet, then keys.

    Map gives rows of partial aggregates, ``__t`` = 0, and for each kind of pair rows of keys and
    value. Reduce drops repeated pairs and makes both into states, which finish merges.
    """
    names = [ast.quoted(name) for name in groups.key_names]
    usual: list[tuple[int, Partial]] = []
    pairs: dict[tuple[str, str], list[int]] = {}
    for number, (aggregate, partial) in enumerate(zip(groups.aggregates, partials, strict=True)):
        if counts_values_once(aggregate):
            pairs.setdefault(_pair_of(aggregate), []).append(number)
        else:
            usual.append((number, partial))
    # States over a pair's value, under the name it has in map's rows.
    over = [
        (number, _required_form(groups.aggregates[number], f"__d{at}"))
        for at, numbers in enumerate(pairs.values())
        for number in numbers
    ]
    states = _States(usual + over)
    own = _States(usual)
    maps, reduces = [], []
    if names or usual:
        maps.append(_partial_rows(groups, ["0::UTINYINT AS __t", *own.computed]))
        reduces.append(_grouped_select(groups.keys, own.merged, "input WHERE __t = 0"))
    for at, (pair, numbers) in enumerate(pairs.items()):
        maps.append(_pair_rows(groups, pair, at, dedupe=dedupe))
        forms = [partial.states for number, partial in over if number in numbers]
        computed = states.computed_of(dict.fromkeys(state for form in forms for state in form))
        distinct = ", ".join([*names, f"__d{at}"])
        source = f"(SELECT DISTINCT {distinct} FROM input WHERE __t = {at + 1})"
        reduces.append(_grouped_select(groups.keys, computed, source))
    finals = _grouped_select(groups.keys, states.finals, "input")
    return SqlSteps(
        map=_united(maps),
        partition_by=(*groups.key_names, *(f"__d{at}" for at in range(len(pairs)))),
        reduce=_united(reduces),
        finish=groups.finished(finals),
    )


def _pair_of(aggregate: Node) -> tuple[str, str]:
    condition = aggregate["filter"]
    value = ast.expression_text(aggregate["arguments"][0]["expression"])
    return value, ast.expression_text(condition) if condition else ""


def _pair_rows(groups: _Groups, pair: tuple[str, str], at: int, *, dedupe: bool) -> str:
    value, condition = pair
    tests = [f"({value}) IS NOT NULL"]
    if condition:
        tests.insert(0, f"({condition})")
    if groups.node["where_clause"]:
        tests.insert(0, f"({ast.expression_text(groups.node['where_clause'])})")
    selected = [key.selected for key in groups.keys]
    selected += [f"{at + 1}::UTINYINT AS __t", f"{value} AS __d{at}"]
    distinct = "DISTINCT " if dedupe else ""
    where = ast.parse_expression(" AND ".join(tests))
    return ast.graft(f"SELECT {distinct}{', '.join(selected)}", groups.node, where=where)


def _required_form(aggregate: Node, value: str) -> Partial:
    over = {
        **aggregate,
        "distinct": False,
        "filter": None,
        "arguments": [{"name": "", "expression": ast.column(value)}],
    }
    partial = partial_of(over)
    if partial is None:
        raise CannotSplit("no partial form")
    return partial


def _united(selects: list[str]) -> str:
    return " UNION ALL BY NAME ".join(f"({select})" for select in selects)
