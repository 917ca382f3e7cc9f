"""Leaving out files whose folders alone tell that a query wants none of their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import compress, islice
from typing import Any, Final

import duckdb

from engine.source.file import SourceFile
from engine.source.hive import hive_columns
from engine.source.sources import Sources
from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.job import SqlJob
from engine.sql.sandbox import identifier, literal
from engine.sql.tables import INPUT

_PLAIN: Final = frozenset(
    {"COMPARISON", "CONJUNCTION", "COLUMN_REF", "CONSTANT", "CAST", "OPERATOR", "BETWEEN"}
)
_AT_ONCE: Final = 5_000

Folders = tuple[tuple[str, str | int | None], ...]


def folder_filter(text: str, columns: Collection[str]) -> str | None:
    """Return what the WHERE of a query over ``input`` demands of folder columns alone.

    Args:
        text: The query.
        columns: Names of the folder columns, none of which is a column of a file.

    Returns:
        A condition that the folders of every wanted file fulfil, in which columns have no table
        before their names; None when there is none, or the query reads ``input`` elsewhere too.
    """
    node = ast.parse(text)
    if node["type"] != "SELECT_NODE" or not _reads_input_once(node):
        return None
    table = (node["from_table"]["alias"] or INPUT).casefold()
    wanted = {name.casefold() for name in columns}
    bare = [_without_table(part, table) for part in _demands(node["where_clause"])]
    found = [part for part in bare if _is_about(part, wanted)]
    return " AND ".join(f"({ast.expression_text(part)})" for part in found) or None


class FolderChoice:
    """Implements ``FileChoice`` for the condition on folders of one job.

    Args:
        connection: Decides the condition, which is the query's own.
        sources: Names the files.
        job: Has a condition on folders.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, sources: Sources, job: SqlJob
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._kinds = dict(job.shape.folder_columns)
        self._condition = job.folder_filter or "true"
        exact = {name.casefold(): name for name in self._kinds}
        self._demands = [
            (ast.expression_text(part), {exact[name] for name in _names(part)})
            for part in _demands(ast.parse_expression(self._condition))
        ]
        self._columns = frozenset().union(*(columns for _, columns in self._demands))
        self._decided: dict[Folders, bool] = {}

    def files(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """Yield those whose folders fulfil the condition; see ``FileChoice``."""
        remaining = iter(files)
        while some := list(islice(remaining, _AT_ONCE)):
            folders = [hive_columns(self._sources.name_of(file.path)) for file in some]
            yield from compress(some, self._fulfil(self._condition, folders))

    def folders(self, names: Sequence[str]) -> list[str]:
        """Return those that fulfil the condition as far as they tell; see ``FileChoice``.

        An outer folder's column is never overruled by an inner one's.
        """
        known = [self._known(name) for name in names]
        fresh = dict.fromkeys(folders for folders in known if folders not in self._decided)
        by_columns: dict[tuple[str, ...], list[Folders]] = {}
        for folders in fresh:
            by_columns.setdefault(tuple(name for name, _ in folders), []).append(folders)
        for columns, group in by_columns.items():
            told = [f"({text})" for text, wanted in self._demands if wanted <= set(columns)]
            condition = " AND ".join(told) or "true"
            for start in range(0, len(group), _AT_ONCE):
                some = group[start : start + _AT_ONCE]
                self._decided.update(
                    zip(some, self._fulfil(condition, map(dict, some)), strict=True)
                )
        return [name for name, folders in zip(names, known, strict=True) if self._decided[folders]]

    def is_open(self, folder: str) -> bool:
        """Tell whether a column of the condition is not known yet; see ``FileChoice``."""
        return not self._columns <= {name for name, _ in self._known(folder)}

    def _known(self, folder: str) -> Folders:
        found = hive_columns(folder)
        return tuple((name, found[name]) for name in sorted(self._columns & found.keys()))

    def _fulfil(self, condition: str, folders: Iterable[Mapping[str, Any]]) -> list[bool]:
        """Tell of each of *folders* whether it fulfils *condition*; of all, if that fails."""
        rows = [f"({index}, {self._values(values)})" for index, values in enumerate(folders)]
        names = ", ".join(map(identifier, self._kinds))
        query = f"SELECT __row FROM (VALUES {', '.join(rows)}) AS input(__row, {names})"
        try:
            found = self._connection.sql(f"{query} WHERE {condition}").fetchall()
        except (duckdb.Error, UnicodeError):  # the query, or the listing, will tell
            return [True] * len(rows)
        fulfilled = {index for (index,) in found}
        return [index in fulfilled for index in range(len(rows))]

    def _values(self, folders: Mapping[str, Any]) -> str:
        return ", ".join(
            "NULL" if folders.get(name) is None else f"{literal(str(folders[name]))}::{kind}"
            for name, kind in self._kinds.items()
        )


def _reads_input_once(node: Node) -> bool:
    """Whether WHERE decides over every row of ``input``, as it is, that the query ever sees."""
    table = node["from_table"]
    if table["type"] != "BASE_TABLE" or table["table_name"].casefold() != INPUT:
        return False
    if table.get("column_name_alias") or table["sample"] or node["sample"]:
        return False
    tables = [part["table_name"] for part in ast.walk(node) if part.get("type") == "BASE_TABLE"]
    return [name.casefold() for name in tables].count(INPUT) == 1


def _without_table(condition: Node, table: str) -> Node:
    bare = deepcopy(condition)
    for part in ast.walk(bare):
        if part.get("class") == "COLUMN_REF" and len(part["column_names"]) == 2:
            if part["column_names"][0].casefold() == table:
                part["column_names"] = part["column_names"][1:]
    return bare


def _demands(condition: Node | None) -> Iterator[Node]:
    if not condition:
        return
    if condition["type"] == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _demands(child)
    else:
        yield condition


def _is_about(condition: Node, columns: Collection[str]) -> bool:
    names = _names(condition)
    is_plain = all(len(ref) == 1 for ref in ast.column_refs(condition))
    classes = {part["class"] for part in ast.walk(condition) if "class" in part}
    return bool(names) and names <= set(columns) and is_plain and classes <= _PLAIN


def _names(condition: Node) -> set[str]:
    return {ref[-1].casefold() for ref in ast.column_refs(condition)}
