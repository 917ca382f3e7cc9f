"""What DuckDB's functions are: aggregates, pure ones, those that differ from call to call."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import duckdb

from engine.sql import ast

TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series"})

# Bare words that DuckDB reads as columns and then as functions, when there is no such column.
MOMENTS: Final = frozenset(
    {
        "current_catalog",
        "current_database",
        "current_date",
        "current_localtime",
        "current_localtimestamp",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
    }
)
_FORBIDDEN: Final = frozenset(
    """
    arrow_scan arrow_scan_dumb checkpoint col_description current_catalog current_connection_id
    current_database current_query current_query_id current_role current_schema current_schemas
    current_setting current_transaction_id current_user currval force_checkpoint
    get_block_size getenv getvariable glob icu_calendar_names in_search_path json_deserialize_sql
    json_execute_serialized_sql json_serialize_plan json_serialize_sql nextval obj_description
    pandas_scan pg_sleep pg_timezone_names python_map_function query query_table repeat_row
    seq_scan session_user set_config setseed setval shobj_description sleep_ms sniff_csv stats
    summary test_all_types test_vector_types txid_current user vector_type version which_secret
    write_log
    """.split()
)
_FORBIDDEN_LIKE: Final = re.compile(
    r"read_.*|.*_scan|parquet_.*|duckdb_.*|pragma_.*|pg_(?!typeof$|size_pretty$).*|has_.*_privilege"
    r"|inet_.*|__internal_.*|enable_.*|disable_.*|.*_external_resource.*|truncate_duckdb_logs"
)
_SCHEMAS: Final = frozenset({"system", "main", "temp", "memory", "information_schema"})


def is_forbidden(name: str) -> bool:
    """Whether a function reaches outside the query: files, network, settings, catalog, the clock.

    The clock's sleeping, that is; reading it is harmless.
    """
    lowered = name.lower()
    return lowered in _FORBIDDEN or _FORBIDDEN_LIKE.fullmatch(lowered) is not None


def is_schema(name: str) -> bool:
    """Whether *name* before a dot leads into another catalog or schema."""
    return name.lower() in _SCHEMAS or name.lower().startswith("pg_")


@cache
def _kinds() -> dict[str, set[tuple[str, str | None, str | None]]]:
    con = duckdb.connect(config={"threads": 1})
    try:
        rows = con.execute(
            "SELECT DISTINCT lower(function_name), function_type, stability, macro_definition"
            " FROM duckdb_functions()"
        ).fetchall()
    finally:
        con.close()
    kinds: dict[str, set[tuple[str, str | None, str | None]]] = {}
    for name, kind, stability, definition in rows:
        kinds.setdefault(name, set()).add((kind, stability, definition))
    return kinds


@cache
def is_aggregate(name: str) -> bool:
    """Whether *name* makes one value of many rows."""
    return any(kind == "aggregate" for kind, _, _ in _kinds().get(name.lower(), ()))


@cache
def is_pure(name: str) -> bool:
    """Whether *name* is known, and gives the same value for the same arguments on any machine."""
    lowered = name.lower()
    if lowered in {"count_star", "unnest", "range", "generate_series"}:
        return True
    found = _kinds().get(lowered, set())
    kinds = {kind for kind, _, _ in found} - {"table", "table_macro", "pragma"}
    if not kinds or not kinds <= {"scalar", "aggregate", "macro"}:
        return False
    if any(stability in {"VOLATILE", "CONSISTENT_WITHIN_QUERY"} for _, stability, _ in found):
        return False
    if lowered in MOMENTS or lowered in {"current_localtimestamp", "current_localtime", "age"}:
        return False
    bodies = [body for kind, _, body in found if kind == "macro" and body]
    return all(_is_scalar(body) for body in bodies)


def _is_scalar(definition: str) -> bool:
    try:
        tree = ast.parse(f"SELECT {definition}")
    except ast.SyntaxProblem:
        return False
    for part in ast.walk(tree):
        if part.get("class") in {"SUBQUERY", "WINDOW"}:
            return False
        if part.get("class") == "FUNCTION":
            name = str(part["function_name"])
            if is_aggregate(name) or name.lower() == "unnest" or not is_pure(name):
                return False
    return not any(name[-1].lower() in MOMENTS for name in ast.column_refs(tree))
