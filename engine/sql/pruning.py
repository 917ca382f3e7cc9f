"""Leaving out files whose folders alone tell that a query wants none of their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import duckdb

from engine.source.hive import hive_columns
from engine.source.sources import Sources
from engine.source.store import SourceFile
from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.job import SqlJob
from engine.sql.sandbox import identifier, literal

_PLAIN: Final = frozenset(
    {"COMPARISON", "CONJUNCTION", "COLUMN_REF", "CONSTANT", "CAST", "OPERATOR", "BETWEEN"}
)
_FILES_AT_ONCE: Final = 5_000


def folder_filter(text: str, columns: Collection[str]) -> str | None:
    """Return what the WHERE of a query over ``input`` demands of folder columns alone.

    Args:
        text: The query.
        columns: Names of the folder columns, none of which is a column of a file.

    Returns:
        A condition that the folders of every wanted file fulfil; None when there is none.
    """
    node = ast.parse(text)
    if node["type"] != "SELECT_NODE" or node["from_table"]["type"] != "BASE_TABLE":
        return None
    wanted = {name.casefold() for name in columns}
    found = [part for part in _demands(node["where_clause"]) if _is_about(part, wanted)]
    return " AND ".join(f"({ast.expression_text(part)})" for part in found) or None


def wanted_files(
    connection: duckdb.DuckDBPyConnection,
    files: Iterable[SourceFile],
    *,
    sources: Sources,
    job: SqlJob,
) -> Iterator[SourceFile]:
    """Yield those of *files* whose folders fulfil the job's condition, in order."""
    if job.folder_filter is None:
        yield from files
        return
    waiting: list[SourceFile] = []
    for file in files:
        waiting.append(file)
        if len(waiting) == _FILES_AT_ONCE:
            yield from _chosen(connection, waiting, sources, job)
            waiting = []
    yield from _chosen(connection, waiting, sources, job)


def _chosen(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], sources: Sources, job: SqlJob
) -> Iterator[SourceFile]:
    rows = ", ".join(
        f"({index}, {_values(hive_columns(sources.name_of(file.path)), job)})"
        for index, file in enumerate(files)
    )
    if not rows:
        return
    names = ", ".join(identifier(name) for name, _ in job.shape.folder_columns)
    query = f"SELECT __file FROM (VALUES {rows}) AS input(__file, {names})"
    try:
        found = connection.sql(f"{query} WHERE {job.folder_filter} ORDER BY __file").fetchall()
    except duckdb.Error:  # the query itself will tell
        yield from files
        return
    for (index,) in found:
        yield files[index]


def _values(folders: Mapping[str, Any], job: SqlJob) -> str:
    return ", ".join(
        "NULL" if folders.get(name) is None else f"{literal(str(folders[name]))}::{kind}"
        for name, kind in job.shape.folder_columns
    )


def _demands(condition: Node | None) -> Iterator[Node]:
    if not condition:
        return
    if condition["type"] == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _demands(child)
    else:
        yield condition


def _is_about(condition: Node, columns: Collection[str]) -> bool:
    names = [ref[-1].casefold() for ref in ast.column_refs(condition)]
    classes = {part["class"] for part in ast.walk(condition) if "class" in part}
    return bool(names) and set(names) <= set(columns) and classes <= _PLAIN
