"""What a log line says beside its message: the request, job, task and attempt it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

_NOTHING: Final[Mapping[str, str | int]] = MappingProxyType({})
_fields: ContextVar[Mapping[str, str | int]] = ContextVar("log_fields", default=_NOTHING)


@contextmanager
def log_fields(**fields: str | int) -> Iterator[None]:
    """Add *fields* to every line that is logged in this context, and in tasks begun in it."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def current_log_fields() -> Mapping[str, str | int]:
    """Return the fields of this context."""
    return _fields.get()
