"""The second reader of every query: DuckDB's own parser; see ``query.py``."""

from __future__ import annotations

from typing import Final

import duckdb

from engine.errors import InputError, Issue
from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.functions import TABLE_FUNCTIONS, is_forbidden, is_schema
from engine.sql.refusal import (
    BARE_WORDS,
    INPUT,
    MAX_TEXT_BYTES,
    ONE_SELECT,
    SQL_PATH,
    RefusedError,
    at_byte,
)

_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_SOURCES: Final = frozenset({"BASE_TABLE", "SUBQUERY", "TABLE_FUNCTION", "JOIN", "EMPTY"})


def check_serialized(con: duckdb.DuckDBPyConnection, text: str) -> None:
    """Check a query once more, as DuckDB's own parser reads it; nothing is executed.

    Args:
        con: Any connection with DuckDB's JSON functions.
        text: The query.

    Raises:
        InputError: Like ``parse_query``.
    """
    try:
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise RefusedError(f"the query is longer than {MAX_TEXT_BYTES} bytes")
        tree = ast.serialize(con, text)
        if len(tree["statements"]) != 1:
            raise RefusedError(ONE_SELECT)
        statement = tree["statements"][0]
        for parameter in statement.get("named_param_map", []):
            if str(parameter["key"]).isdigit():
                raise RefusedError("parameters need names, such as $day")
        _Walker(text).check(statement["node"], frozenset())
    except RefusedError as exc:
        raise InputError(Issue(SQL_PATH, str(exc))) from exc
    except ast.SyntaxProblem as exc:
        message = at_byte(text, exc.position, str(exc))
        raise InputError(Issue(SQL_PATH, message)) from exc
    except (duckdb.Error, UnicodeEncodeError) as exc:
        message = f"DuckDB cannot read it: {str(exc).splitlines()[0]}"
        raise InputError(Issue(SQL_PATH, message)) from exc
    except RecursionError as exc:
        raise InputError(Issue(SQL_PATH, "the query is nested too deeply")) from exc


class _Walker:
    """Goes over DuckDB's own tree, knowing which names of WITH can be seen where."""

    def __init__(self, text: str) -> None:
        self._text = text

    def check(self, tree: object, ctes: frozenset[str]) -> None:
        if isinstance(tree, list):
            for value in tree:
                self.check(value, ctes)
        if not isinstance(tree, dict):
            return
        if "cte_map" in tree:
            if tree["type"] not in _NODES:
                raise RefusedError(f"{tree['type']} is not allowed; {ONE_SELECT}")
            ctes = self._with(tree, ctes)
        self._require_allowed(tree, ctes)
        for name, value in tree.items():
            if name != "cte_map":
                self.check(value, ctes)

    def _with(self, node: Node, ctes: frozenset[str]) -> frozenset[str]:
        for entry in node["cte_map"]["map"]:
            name = str(entry["key"]).lower()
            if name == INPUT:
                raise RefusedError("no part of WITH can be named input")
            query = entry["value"]["query_node"]
            is_recursive = query["type"] == "RECURSIVE_CTE_NODE"
            self.check(entry["value"], ctes | {name} if is_recursive else ctes)
            ctes |= {name}
        return ctes

    def _require_allowed(self, part: Node, ctes: frozenset[str]) -> None:
        if "column_name_alias" in part or {"sample", "alias"} <= part.keys():
            self._require_source(part, ctes)
        kind = part.get("class")
        if kind in {"FUNCTION", "WINDOW"}:
            name, schema = str(part["function_name"]), str(part["schema"])
            if is_forbidden(name) or is_schema(schema) or part["catalog"]:
                raise self._refused(part, f"the function {name} is not allowed")
        if kind == "COLUMN_REF" and len(part["column_names"]) == 1:
            name = str(part["column_names"][0])
            if name.lower() in BARE_WORDS:
                raise self._refused(part, f"{name} is not allowed")
        if kind == "PARAMETER" and not str(part["identifier"]).isidentifier():
            raise self._refused(part, "parameters need names, such as $day")

    def _require_source(self, part: Node, ctes: frozenset[str]) -> None:
        kind = str(part["type"])
        if kind not in _SOURCES:
            raise self._refused(part, f"{kind} is not allowed; {ONE_SELECT}")
        if kind == "TABLE_FUNCTION":
            function = part["function"]
            name = str(function["function_name"])
            if name.lower() not in TABLE_FUNCTIONS or function["schema"] or function["catalog"]:
                raise self._refused(part, f"the table function {name} is not allowed")
        if kind == "BASE_TABLE":
            name = str(part["table_name"])
            qualified = part["schema_name"] or part["catalog_name"]
            if qualified or name.lower() not in ctes | {INPUT}:
                raise self._refused(part, f"there is no table {name}; only input is read")

    def _refused(self, part: Node, message: str) -> RefusedError:
        offset = part.get("query_location")
        known = isinstance(offset, int) and offset < 2**63
        return RefusedError(at_byte(self._text, offset if known else None, message))
