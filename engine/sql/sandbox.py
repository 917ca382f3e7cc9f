"""The DuckDB connection that queries of callers run in, and nothing else of DuckDB.

It reads the folders that it is given and its scratch folder, and can reach no other file, no
network, no extension, no environment and no Python variable; its configuration is locked. A query
has been checked before it comes here (``engine/sql/query.py``), and the process around it has been
confined by the kernel (``engine/sql/landlock.py``).
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import duckdb

MEMORY_BYTES: Final = 512 * 1024 * 1024
ADDRESSABLE_BYTES: Final = 4 * 1024 * 1024 * 1024
"""DuckDB's own limit does not hold for long lists and strings; the kernel's does."""
TEMPORARY_BYTES: Final = 64 * 1024 * 1024 * 1024
TEMPORARY_SHARE: Final = 0.8
"""Of the disk that is free; what is left is for the results, and for others."""


def open_sandbox(
    *,
    folders: Iterable[Path],
    scratch: Path,
    temporary_bytes: int = TEMPORARY_BYTES,
    memory_bytes: int = MEMORY_BYTES,
) -> duckdb.DuckDBPyConnection:
    """Open a locked in-memory database with one thread.

    Args:
        folders: What it may read; links in them are resolved.
        scratch: Where it may write: spilled data, and results that are written by us.
        temporary_bytes: How much may be spilled at most; less where the disk has less.
        memory_bytes: How much it may keep in memory before it spills.
    """
    spill = spill_folder(scratch)
    connection = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": f"{memory_bytes}B",
            "temp_directory": str(spill),
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
    free_bytes = int(shutil.disk_usage(scratch).free * TEMPORARY_SHARE)
    # As a part of the configuration above it would be shown, but not kept to.
    connection.execute(f"SET max_temp_directory_size = '{min(temporary_bytes, free_bytes)}B'")
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
