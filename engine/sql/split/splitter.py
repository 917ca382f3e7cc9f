"""Splits a query into map, reduce and finish.

What is not proven to give DuckDB's own answer is not split: one reduce task then runs the query as
it is, over all rows. Types are not known here, and names of columns only if the caller gives them.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Final

import duckdb
import sqlglot
from sqlglot import TokenType
from sqlglot.errors import SqlglotError

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.functions import MOMENTS
from engine.sql.query import Query
from engine.sql.split.grouped import split_grouped
from engine.sql.split.resolve import resolved
from engine.sql.split.shape import (
    contains_star,
    contains_unnest,
    contains_window,
    is_aggregated,
    is_plain_column,
    is_rowwise,
    is_rowwise_source,
    last_name,
    renamed_by,
    require_plain,
    simple_names,
    with_ctes,
)
from engine.sql.split.steps import CannotSplit, Combining, SqlSteps
from engine.sql.split.tail import read_tail, with_tail

_EVERYTHING: Final = "SELECT * FROM input"

__all__ = ["CannotSplit", "SqlSteps", "split", "whole_in_one"]


def split(
    query: Query,
    *,
    columns: Sequence[str] | None = None,
    combining: Combining = Combining.GROUPS,
) -> SqlSteps:
    """Return the steps of *query*; whatever cannot be split is left to one reduce task.

    Args:
        query: What ``parse_query`` gave.
        columns: Names of all columns of ``input``; without them a name that may be a column as well
            as an alias can be a reason not to split.
        combining: What map makes fewer.
    """
    try:
        return _split(ast.parse(query.text), columns=columns, combining=combining)
    except (CannotSplit, ast.SyntaxProblem, duckdb.Error, RecursionError):
        return whole_in_one(query)


def whole_in_one(query: Query) -> SqlSteps:
    """Return steps by which one reduce task runs the whole query.

    Map drops columns that the query does not name and rows that it does not want, where the query
    is one SELECT over ``input`` alone.
    """
    try:
        node = ast.parse(query.text)
        if ast.is_faithful(node):
            return SqlSteps(map=_needed(node), reduce=ast.render(node))
    except (ast.SyntaxProblem, duckdb.Error, RecursionError):
        pass
    return SqlSteps(map=_EVERYTHING, reduce=_body(query.text))


def _split(node: Node, *, columns: Sequence[str] | None, combining: Combining) -> SqlSteps:
    if re.search(r"\bENUM\b", ast.render(node), re.IGNORECASE):
        raise CannotSplit("an enumeration, whose order is lost between steps")
    if not ast.is_faithful(node):
        raise CannotSplit("a text that DuckDB does not write as it reads it")
    require_plain(node)
    if is_rowwise(node):
        return SqlSteps(map=ast.render(node))
    if node["type"] != "SELECT_NODE" or node["sample"]:
        raise CannotSplit(str(node["type"]))
    if not is_rowwise_source(node["from_table"], with_ctes(node, {})):
        raise CannotSplit("a source that is not row by row")
    try:
        return _split_select(resolved(node, columns), combining=combining)
    except CannotSplit:
        return _split_select(node, combining=combining)


def _split_select(node: Node, *, combining: Combining) -> SqlSteps:
    if is_aggregated(node):
        return split_grouped(node, combining=combining)
    if contains_window([node["select_list"], node["qualify"], node["modifiers"]]):
        return _split_windows(node)
    if node["qualify"]:
        raise CannotSplit("QUALIFY without a window")
    if read_tail(node).distinct:
        return _split_distinct(node, combining=combining)
    map_, finish = with_tail(node)
    return SqlSteps(map=map_, finish=finish)


def _split_distinct(node: Node, *, combining: Combining) -> SqlSteps:
    kept = [m for m in node["modifiers"] if m["type"] != "DISTINCT_MODIFIER"]
    items = node["select_list"]
    if len(items) == 1 and contains_star(items) and not kept:
        return SqlSteps(map=ast.render(node), reduce="SELECT DISTINCT * FROM input")
    return split_grouped(
        {**node, "modifiers": kept, "aggregate_handling": "FORCE_AGGREGATES"}, combining=combining
    )


def _split_windows(node: Node) -> SqlSteps:
    """Split by columns that all windows partition by: rows that share a window then meet."""
    renamed = renamed_by(node)
    source = node["from_table"]
    if source["type"] == "JOIN" or source["column_name_alias"]:
        raise CannotSplit("windows over several tables")
    if simple_names(node["where_clause"]) & renamed.keys():
        raise CannotSplit("a condition on an alias")
    name = str(source["alias"] or source.get("table_name", ""))
    parts = [node["select_list"], node["qualify"], node["modifiers"]]
    shared: dict[str, str] | None = None
    for window in ast.walk(parts):
        if window.get("class") != "WINDOW":
            continue
        columns = _partition_columns(window, name.lower(), renamed.keys())
        shared = columns if shared is None else {n: c for n, c in shared.items() if n in columns}
    if not shared:
        raise CannotSplit("windows that share no column")
    reduced = {
        **node,
        "from_table": ast.table("input", alias=name if name != "input" else ""),
        "cte_map": {"map": []},
        "where_clause": None,
    }
    task, finish = with_tail(reduced)
    selected = "*" if contains_star(parts) else _columns_named(parts)
    return SqlSteps(
        map=ast.graft(f"SELECT {selected}", node),
        partition_by=tuple(shared.values()),
        reduce=task,
        finish=finish,
    )


def _partition_columns(window: Node, source: str, unsure: Container[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for expression in window["partitions"]:
        if not is_plain_column(expression):
            continue
        names = [str(name) for name in expression["column_names"]]
        is_bare = len(names) == 1 and names[0].lower() not in unsure
        if is_bare or (len(names) == 2 and names[0].lower() == source):
            found[last_name(expression).lower()] = last_name(expression)
    return found


def _columns_named(tree: object) -> str:
    """Return what selects those columns that *tree* may mean, of those that there are."""
    names = sorted({name for names in ast.column_refs(tree) for name in names[:2]})
    wanted = ", ".join(f"lower({ast.literal(name)})" for name in names)
    return f"COLUMNS(lambda c: lower(c) IN ({wanted}))"


def _needed(node: Node) -> str:
    if node["type"] != "SELECT_NODE" or node["from_table"]["type"] != "BASE_TABLE":
        return _EVERYTHING
    if node["sample"] or node["from_table"]["sample"] or node["cte_map"]["map"]:
        return _EVERYTHING
    if any(p.get("class") in {"SUBQUERY", "POSITIONAL_REFERENCE"} for p in ast.walk(node)):
        return _EVERYTHING
    return _needed_of_one(node)


def _needed_of_one(node: Node) -> str:
    source = node["from_table"]
    if source["column_name_alias"] or source["at_clause"]:
        return _EVERYTHING
    try:
        aliases = renamed_by(node).keys()
    except CannotSplit:
        return _EVERYTHING
    names = simple_names(node)
    whole_row = {"input", str(source["alias"]).lower()}
    selected = "*"
    certain = {n[0].lower() for n in ast.column_refs(node) if len(n) == 1} - MOMENTS
    if not contains_star(node) and not names & (whole_row | {"rowid"}) and certain - aliases:
        is_lambda = any(part.get("class") == "LAMBDA" for part in ast.walk(node))
        selected = "*" if is_lambda else _columns_named(node)
    where = node["where_clause"]
    try:
        if where:
            require_plain({"where": where})
    except CannotSplit:
        where = None
    if where and (simple_names(where) & aliases or contains_unnest(where)):
        where = None
    return ast.graft(f"SELECT {selected}", {**node, "where_clause": where})


def _body(text: str) -> str:
    """Return *text* without comments and semicolons at its end, so that it can be nested."""
    try:
        tokens = sqlglot.tokenize(text, read="duckdb")
    except SqlglotError:
        return text
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    return text[: tokens[-1].end + 1] if tokens else text
