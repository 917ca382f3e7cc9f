"""What the ledger is told of an exception that ended an attempt."""

from __future__ import annotations

from engine.errors import FanfoldError, TaskError, UnavailableError, UserCodeError
from engine.job import JobError, TaskId


def error_of(exc: Exception, task: TaskId | None = None) -> JobError:
    """Return what is kept with the attempt; whatever is not ours came from the program."""
    if not isinstance(exc, FanfoldError):
        exc = UserCodeError(f"{type(exc).__name__}: {exc}")
    is_passing = isinstance(exc, TaskError) or exc.code == UnavailableError.code
    return JobError(
        code=exc.code,
        message=exc.message.encode("utf-8", "replace").decode(),
        retryable=exc.retryable and is_passing,
        task_id=task,
    )


def log_of(exc: Exception) -> tuple[str, ...]:
    """Return what the program had logged by then."""
    return exc.log if isinstance(exc, TaskError) else ()
