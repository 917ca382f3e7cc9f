"""What can be told about a SELECT without knowing any schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.functions import MOMENTS, TABLE_FUNCTIONS, is_aggregate, is_pure
from engine.sql.split.steps import CannotSplit

_OURS: Final = re.compile(r"__[a-z]+\d*", re.IGNORECASE)
_FROMS: Final = frozenset({"BASE_TABLE", "SUBQUERY", "TABLE_FUNCTION", "JOIN"})
_JOINS: Final = frozenset({"INNER", "LEFT"})
_JOIN_KINDS: Final = frozenset({"REGULAR", "CROSS"})


def require_plain(node: Node) -> None:
    """Refuse what no way of splitting can deal with.

    Raises:
        CannotSplit: A function gives another value on another call, rows are sampled, a subquery
            is an expression, or a name could collide with ours.
    """
    for part in ast.walk(node):
        kind = part.get("class")
        if kind == "SUBQUERY":
            raise CannotSplit("a subquery as an expression")
        if kind == "COLLATE":
            raise CannotSplit("a collation, which is lost between steps")
        if kind == "POSITIONAL_REFERENCE":
            raise CannotSplit("a column by its position")
        if part.get("sample") or part.get("at_clause"):
            raise CannotSplit("a sample")
        if kind in {"FUNCTION", "WINDOW"}:
            _require_plain_function(part)
        if kind == "COLUMN_REF":
            _require_plain_names([str(name) for name in part["column_names"]])
        if _OURS.fullmatch(str(part.get("alias", ""))):
            raise CannotSplit("a name like ours")


def _require_plain_function(part: Node) -> None:
    name = str(part["function_name"])
    if part["schema"] or part["catalog"]:
        raise CannotSplit(f"{name} called as a method")
    if part["type"] in {"FUNCTION", "WINDOW_AGGREGATE"} and not is_pure(name):
        raise CannotSplit(f"{name} may differ from call to call")


def _require_plain_names(names: list[str]) -> None:
    if len(names) == 1 and names[0].lower() in MOMENTS | {"rowid"}:
        raise CannotSplit(f"{names[0]} may differ from task to task")
    if any(_OURS.fullmatch(name) for name in names):
        raise CannotSplit("a name like ours")


def is_rowwise(node: Node, ctes: Mapping[str, bool] | None = None) -> bool:
    """Whether each row of *node* depends on one row of ``input`` alone.

    Args:
        node: A query.
        ctes: Names of WITH around it, in lower case, and whether each is row-wise.
    """
    known = with_ctes(node, ctes or {})
    if node["modifiers"]:
        return False
    if node["type"] == "SET_OPERATION_NODE":
        return (
            node["setop_type"] == "UNION"
            and bool(node["setop_all"])
            and all(is_rowwise(child, known) for child in node["children"])
        )
    if node["type"] != "SELECT_NODE" or is_aggregated(node):
        return False
    if node["qualify"] or node["sample"] or contains_window(node["select_list"]):
        return False
    return is_rowwise_source(node["from_table"], known)


def with_ctes(node: Node, outer: Mapping[str, bool]) -> dict[str, bool]:
    """Return *outer* and the names of *node*'s own WITH, and whether each is row-wise."""
    known = dict(outer)
    for entry in node["cte_map"]["map"]:
        query = entry["value"]["query_node"]
        known[str(entry["key"]).lower()] = is_rowwise(query, known)
    return known


def is_rowwise_source(source: Node, ctes: Mapping[str, bool]) -> bool:
    """Whether each row of a FROM depends on one row of ``input`` alone."""
    kind = source["type"]
    if kind not in _FROMS or source["sample"]:
        return False
    if kind == "BASE_TABLE":
        name = str(source["table_name"]).lower()
        return ctes.get(name, name == "input")
    if kind == "SUBQUERY":
        return is_rowwise(source["subquery"]["node"], ctes)
    if kind == "JOIN":
        right = source["right"]
        return (
            source["join_type"] in _JOINS
            and source["ref_type"] in _JOIN_KINDS
            and not source.get("using_columns")
            and right["type"] == "TABLE_FUNCTION"
            and str(right["function"]["function_name"]).lower() in TABLE_FUNCTIONS
            and is_rowwise_source(source["left"], ctes)
        )
    return False


def is_aggregated(node: Node) -> bool:
    """Whether a SELECT makes groups of rows."""
    return bool(
        node["group_expressions"]
        or node["group_sets"]
        or node["having"]
        or node["aggregate_handling"] != "STANDARD_HANDLING"
        or any(
            contains_aggregate(part)
            for part in (node["select_list"], node["qualify"], node["modifiers"])
        )
    )


def contains_aggregate(tree: object) -> bool:
    """Whether an aggregate is called anywhere in *tree*, windows' own functions aside."""
    return any(is_aggregate_call(part) for part in ast.walk(tree))


def is_aggregate_call(part: Node) -> bool:
    """Whether *part* is a call of an aggregate."""
    return part.get("class") == "FUNCTION" and is_aggregate(str(part["function_name"]))


def contains_window(tree: object) -> bool:
    """Whether *tree* has a window function."""
    return any(part.get("class") == "WINDOW" for part in ast.walk(tree))


def contains_unnest(tree: object) -> bool:
    """Whether *tree* makes several rows of one."""
    return any(
        part.get("class") == "FUNCTION"
        and str(part["function_name"]).lower() in {"unnest", "generate_subscripts"}
        for part in ast.walk(tree)
    )


def contains_star(tree: object) -> bool:
    """Whether *tree* has ``*`` or ``COLUMNS``."""
    return any(part.get("class") == "STAR" for part in ast.walk(tree))


def is_plain_column(expression: Node) -> bool:
    """Whether *expression* is nothing but a column."""
    return expression.get("class") == "COLUMN_REF"


def last_name(expression: Node) -> str:
    """Return the name under which a plain column is selected."""
    return str(expression["column_names"][-1])


def bare_name(expression: Node) -> str:
    """Return the name, in lower case, that *expression* is and nothing else; or nothing."""
    if not is_plain_column(expression) or len(expression["column_names"]) != 1:
        return ""
    return last_name(expression).lower()


def renamed_by(node: Node) -> dict[str, Node]:
    """Return the aliases of *node*'s columns, in lower case, that stand for another expression.

    ``a AS a`` is none: whichever of the two a reference means, the value is the same.
    """
    found: dict[str, Node] = {}
    for item in node["select_list"]:
        alias = str(item.get("alias") or "").lower()
        same = is_plain_column(item) and last_name(item).lower() == alias
        if alias and not same:
            if alias in found and ast.canonical(found[alias]) != ast.canonical(item):
                raise CannotSplit(f"two columns named {alias}")
            found[alias] = item
    return found


def simple_names(tree: object) -> set[str]:
    """Return the names, in lower case, that *tree* refers to without a qualifier."""
    return {names[0].lower() for names in ast.column_refs(tree)}


def integer(expression: Node | None) -> int | None:
    """Return the value of an integer literal, or None."""
    if expression is None or expression.get("class") != "CONSTANT":
        return None
    value = expression.get("literal") or {}
    if value.get("kind") != "INTEGER" or not re.fullmatch(r"\d{1,15}", str(value.get("text"))):
        return None
    return int(value["text"])
