"""DuckDB's own syntax tree of a SELECT, as its JSON form gives it, and text made from it again.

Queries are taken apart and put together in this form, because DuckDB is what runs the parts: names
of unaliased columns, operators and literals come out as DuckDB itself would write them. Nothing
here executes a query. A tree is only to be trusted after ``is_faithful``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from typing import Any, Final

import duckdb

from engine.sql.refusal import ONE_SELECT

Node = dict[str, Any]

_NOT_COMPARED: Final = frozenset(
    {"query_location", "query_location_length", "alias", "qualified_name"}
)
_NO_SELECT: Final = "Only SELECT statements can be serialized"
_SYNTAX_ERROR: Final = "syntax error"
_WORD: Final = "more"
_lock = threading.Lock()


class SyntaxProblem(Exception):
    """DuckDB's parser refuses a text, or accepts something other than SELECT.

    Attributes:
        position: Offset of the fault in bytes of the text's UTF-8, if known.
    """

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.position = position


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1, "enable_external_access": False})


def serialize(connection: duckdb.DuckDBPyConnection, text: str) -> Node:
    """Return what DuckDB's parser makes of *text*: statements, each with its ``node``.

    Raises:
        SyntaxProblem: It cannot be parsed or is not made of SELECTs.
    """
    tree = _serialized(connection, text)
    if tree["error"]:
        raise _problem(connection, text, tree)
    return tree


def _serialized(connection: duckdb.DuckDBPyConnection, text: str) -> Node:
    rows = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [text]).fetchall()
    tree: Node = json.loads(rows[0][0])
    return tree


def _problem(connection: duckdb.DuckDBPyConnection, text: str, tree: Node) -> SyntaxProblem:
    message = str(tree.get("error_message", "it cannot be parsed")).split("\n")[0]
    position = _position_of(tree)
    if message.startswith(_NO_SELECT):
        return SyntaxProblem(ONE_SELECT, None)
    if position is not None and message.startswith(_SYNTAX_ERROR):
        # DuckDB names the last word also where only more was missing: is it content with more?
        further = _serialized(connection, f"{text}\n{_WORD}")
        place = _position_of(further) if further["error"] else None
        if place is None or place > len(text.encode()):
            end = len(text.rstrip("; \t\r\n").encode())
            return SyntaxProblem(f"{_SYNTAX_ERROR} at end of input", end)
    return SyntaxProblem(message, position)


def _position_of(tree: Node) -> int | None:
    position = tree.get("position")
    return None if position is None else int(position)


def parse(text: str) -> Node:
    """Return the tree of the one SELECT that *text* is.

    Raises:
        SyntaxProblem: It is anything else.
    """
    with _lock:
        statements = serialize(_connection(), text)["statements"]
    if len(statements) != 1:
        raise SyntaxProblem("exactly one SELECT is wanted", None)
    node: Node = statements[0]["node"]
    return node


def render(node: Node) -> str:
    """Return the text of a SELECT's tree."""
    names = dict.fromkeys(parameter_names(node))
    parameters = [{"key": name, "value": at} for at, name in enumerate(names, 1)]
    tree = {"error": False, "statements": [{"node": node, "named_param_map": parameters}]}
    with _lock:
        rows = _connection().execute("SELECT json_deserialize_sql($1::JSON)", [json.dumps(tree)])
        return str(rows.fetchall()[0][0])


def expression_text(expression: Node) -> str:
    """Return the text of one expression, which is also what DuckDB calls its column."""
    bare = {**expression, "alias": ""}
    return render({**_EMPTY_SELECT, "select_list": [bare]}).removeprefix("SELECT ")


def graft(select: str, source: Node) -> str:
    """Return *select*, a SELECT without FROM and WHERE, over the source of another one.

    Args:
        select: Text such as ``SELECT a, sum(b) GROUP BY a``.
        source: The SELECT whose WITH, FROM and WHERE it gets.
    """
    node = parse(select)
    node["from_table"] = source["from_table"]
    node["cte_map"] = source["cte_map"]
    node["where_clause"] = source["where_clause"]
    return render(node)


def parse_expression(text: str) -> Node:
    """Return the tree of one expression."""
    expression: Node = parse(f"SELECT {text}")["select_list"][0]
    return expression


def walk(tree: object) -> Iterator[Node]:
    """Yield every object of *tree*, outer ones first."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from walk(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from walk(value)


def replaced(tree: Node, replace: Callable[[Node], Node]) -> Node:
    """Return *tree* with every object right below it replaced."""
    return {name: _replaced_value(value, replace) for name, value in tree.items()}


def _replaced_value(value: object, replace: Callable[[Node], Node]) -> object:
    if isinstance(value, dict):
        return replace(value)
    if isinstance(value, list):
        return [_replaced_value(part, replace) for part in value]
    return value


def parts(tree: Node) -> Iterator[Node]:
    """Yield the objects right below *tree*."""
    for value in tree.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield part


def parameter_names(tree: object) -> tuple[str, ...]:
    """Return the names of parameters in *tree*, each once, in order of appearance."""
    found = (str(part["identifier"]) for part in walk(tree) if part.get("class") == "PARAMETER")
    return tuple(dict.fromkeys(found))


def canonical(tree: object) -> str:
    """Return a text that is equal for trees that differ in aliases, positions and case alone."""
    return json.dumps(_compared(tree), sort_keys=True)


def is_faithful(node: Node) -> bool:
    """Whether DuckDB reads the text of *node* as the same tree."""
    try:
        again = parse(render(node))
    except (SyntaxProblem, duckdb.Error):
        return False
    return _located(again) == _located(node)


def column_refs(tree: object) -> list[tuple[str, ...]]:
    """Return the dotted names of every column reference in *tree*."""
    parts = (part for part in walk(tree) if part.get("class") == "COLUMN_REF")
    return [tuple(part["column_names"]) for part in parts]


def column(*names: str) -> Node:
    """Return a reference to a column."""
    return {
        "class": "COLUMN_REF",
        "type": "COLUMN_REF",
        "alias": "",
        "query_location": 0,
        "column_names": list(names),
    }


def table(name: str, *, alias: str = "") -> Node:
    """Return what a FROM of one table is."""
    node: Node = deepcopy(parse("SELECT 1 FROM x")["from_table"])
    node |= {"table_name": name, "alias": alias, "qualified_name": {"path": [name]}}
    return node


def quoted(name: str) -> str:
    """Return *name* as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return *text* as a string in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _compared(tree: object) -> object:
    if isinstance(tree, dict):
        kept = {k: _compared(v) for k, v in tree.items() if k not in _NOT_COMPARED}
        if tree.get("class") == "COLUMN_REF":
            kept["column_names"] = [str(name).lower() for name in tree["column_names"]]
        if "function_name" in tree:
            kept["function_name"] = str(tree["function_name"]).lower()
        return kept
    if isinstance(tree, list):
        return [_compared(value) for value in tree]
    return tree


def _located(tree: object) -> object:
    if isinstance(tree, dict):
        return {k: _located(v) for k, v in tree.items() if not k.startswith("query_location")}
    if isinstance(tree, list):
        return [_located(value) for value in tree]
    return tree


_EMPTY_SELECT: Final[Node] = {
    "type": "SELECT_NODE",
    "modifiers": [],
    "cte_map": {"map": []},
    "select_list": [],
    "from_table": {"type": "EMPTY", "alias": "", "sample": None},
    "where_clause": None,
    "group_expressions": [],
    "group_sets": [],
    "aggregate_handling": "STANDARD_HANDLING",
    "having": None,
    "sample": None,
    "qualify": None,
}
