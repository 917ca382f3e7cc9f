"""The DuckDB connection that queries of callers run in, and nothing else of DuckDB.

It reads the folders that it is given and its scratch folder, and can reach no other file, no
network, no extension, no environment and no Python variable; its configuration is locked. A query
has been checked before it comes here (``engine/sql/query.py``), and the process around it has been
confined by the kernel (``engine/sql/landlock.py``).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import duckdb

MEMORY_BYTES: Final = 512 * 1024 * 1024
ADDRESSABLE_BYTES: Final = 4 * 1024 * 1024 * 1024
"""DuckDB's own limit does not hold for long lists and strings; the kernel's does."""
TEMPORARY_BYTES: Final = 64 * 1024 * 1024 * 1024


def open_sandbox(*, folders: Iterable[Path], scratch: Path) -> duckdb.DuckDBPyConnection:
    """Open a locked in-memory database with one thread.

    Args:
        folders: What it may read; links in them are resolved.
        scratch: Where it may write: spilled data, and results that are written by us.
    """
    spill = spill_folder(scratch)
    connection = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": f"{MEMORY_BYTES}B",
            "temp_directory": str(spill),
            "max_temp_directory_size": f"{TEMPORARY_BYTES}B",
            "preserve_insertion_order": True,
            "arrow_lossless_conversion": True,
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "errors_as_json": False,
        }
    )
    allowed = ", ".join(literal(os.path.realpath(path)) for path in (*folders, scratch))
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET allowed_directories = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def spill_folder(scratch: Path) -> Path:
    """Return where the database keeps what exceeds its memory."""
    return scratch / "spill"


def limit_memory() -> None:
    """Let the kernel refuse memory beyond what any honest query needs; the query then fails."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = ADDRESSABLE_BYTES if hard == resource.RLIM_INFINITY else min(hard, ADDRESSABLE_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def literal(text: str) -> str:
    """Return *text* as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return *name* as a quoted name of SQL."""
    return '"' + name.replace('"', '""') + '"'
