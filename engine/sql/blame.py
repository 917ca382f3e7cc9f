"""Whatever DuckDB raises, as an error of ours: it names the step and, for bad data, the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import pyarrow as pa

from engine.errors import FanfoldError, RecordError, ResourceError, SqlError
from engine.sql.fault import data_fault

_MAX_MESSAGE_LENGTH: Final = 1_000
_BAD_DATA: Final = re.compile(
    r"CSV Error|Malformed JSON|Invalid unicode|not valid UTF|JSON transform error|"
    r"Error when sniffing|magic bytes|TProtocolException|Parquet|Snappy|ZSTD"
)
_NO_MEMORY: Final = re.compile(
    r"Out of Memory|failed to allocate|bad_alloc|maximum total string size"
)
_NO_SPACE: Final = re.compile(r"max_temp_directory_size|No space left on device")


@contextmanager
def blamed(step: str, names: Mapping[str, str], *, cause: Any = None) -> Iterator[None]:
    """Turn what DuckDB raises into an error of ours.

    Args:
        step: What was run, for the message.
        names: Paths that DuckDB may mention, with what callers know them by.
        cause: Returns the error that DuckDB was given by one of our own readers, if any.

    Raises:
        RecordError: The data is at fault.
        ResourceError: It needs more memory or space than a task may have.
        SqlError: The query fails on the data.
    """
    try:
        yield
    except FanfoldError:
        raise
    except (duckdb.OutOfMemoryException, MemoryError) as exc:
        raise _exhausted(step, exc) from exc
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        own = cause() if cause is not None else None
        if own is not None:
            raise own from exc
        if _NO_SPACE.search(str(exc)) or _NO_MEMORY.search(str(exc)):
            raise _exhausted(step, exc) from exc
        text = _without_paths(str(exc), names)
        is_data = any(path in str(exc) for path in names) or _BAD_DATA.search(text)
        kind = RecordError if is_data else SqlError
        raise kind(f"{step}: {text}"[:_MAX_MESSAGE_LENGTH]) from exc


def _exhausted(step: str, error: BaseException) -> ResourceError:
    what = "space on disk" if _NO_SPACE.search(str(error)) else "memory"
    return ResourceError(f"{step} needs more {what} than a task may have")


def _without_paths(text: str, names: Mapping[str, str]) -> str:
    blamed_on = {names[path] for path in names if path in text}
    for path in sorted(names, key=len, reverse=True):
        text = text.replace(path, names[path])
    text = data_fault(text)
    if blamed_on and not any(name in text for name in blamed_on):
        return f"{', '.join(sorted(blamed_on))}: {text}"
    return text
