"""Everything that can go wrong, as one tree.

FanfoldError
├── InputError              what the caller gave is wrong; lists every problem
├── SourceError             the source could not be listed or read
│   └── SourceChangedError  a file is not the one that was planned
├── NotFoundError           no such thing, or not the caller's
├── InvalidStateError       the job's state does not allow it
├── IdempotencyConflictError  the key was used with another input
├── UnauthenticatedError    nobody knows who calls
├── ForbiddenError          the caller may not do this
├── QuotaExceededError      the tenant has, or does, too much
├── ConfigError             this deployment is set up wrongly
├── UnavailableError        a part that we depend on does not answer
├── NonRetryable            raised by programs: trying again would not help
└── TaskError               an attempt failed
    ├── UserCodeError       the program raised
    ├── RecordError         the data cannot be read as records
    ├── SqlError            the query fails on this data
    ├── ResourceError       more memory or space is needed than there is
    ├── OutputError         the program returned what cannot be stored
    ├── TaskTimeoutError    the attempt ran longer than it may
    ├── TaskCrashedError    the attempt's process died
    └── AttemptsExhaustedError  every attempt was lost with its worker

``code`` is stable and meant to be branched on; ``retryable`` says whether the same call or attempt
may succeed later unchanged. Messages name the thing, the place and the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class FanfoldError(Exception):
    """Base of every error that Fanfold raises on purpose."""

    code: ClassVar[str] = "INTERNAL"
    retryable: bool = False

    @property
    def message(self) -> str:
        """What happened, for people."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem of an input.

    Attributes:
        path: Where in the input, outermost name first, such as ``("input", "source", "inline")``.
        message: What is wrong there and what would be right.
    """

    path: tuple[str, ...]
    message: str


class InputError(FanfoldError):
    """The input is wrong; ``issues`` lists every problem found, not only the first."""

    code = "VALIDATION_FAILED"

    def __init__(self, *issues: Issue) -> None:
        super().__init__("; ".join(f"{'.'.join(i.path)}: {i.message}" for i in issues))
        self.issues = issues


class SourceError(FanfoldError):
    """The source could not be listed or read; ``location`` names the part at fault."""

    code = "SOURCE_UNREADABLE"

    def __init__(
        self, message: str, *, location: str | None = None, path: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(message)
        self.location = location
        self.path = path


class SourceChangedError(SourceError):
    """A file was deleted or changed after the job was planned; a new job would read it anew."""

    code = "SOURCE_CHANGED"


class NotFoundError(FanfoldError):
    """The thing does not exist, or the caller may not know of it."""

    code = "NOT_FOUND"


class InvalidStateError(FanfoldError):
    """The job is in a state that does not allow the action.

    Attributes:
        state: The job's state.
    """

    code = "INVALID_STATE"

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class IdempotencyConflictError(FanfoldError):
    """The idempotency key belongs to a job with another input."""

    code = "IDEMPOTENCY_CONFLICT"

    def __init__(self, message: str, *, existing_job_id: str) -> None:
        super().__init__(message)
        self.existing_job_id = existing_job_id


class UnauthenticatedError(FanfoldError):
    """What the caller showed is nobody's, or no longer; the message does not tell which."""

    code = "UNAUTHENTICATED"


class ForbiddenError(FanfoldError):
    """The caller lacks a right; the message names it."""

    code = "FORBIDDEN"


class QuotaExceededError(FanfoldError):
    """The tenant has as much as it may have, or asks too often.

    Attributes:
        retry_after_s: After how many seconds the same call may succeed.
    """

    code = "QUOTA_EXCEEDED"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigError(FanfoldError):
    """This deployment is set up wrongly; the message has a line for every problem."""

    code = "CONFIGURATION"


class UnavailableError(FanfoldError):
    """Redis or the blob store does not answer."""

    code = "UNAVAILABLE"
    retryable = True


class TaskError(FanfoldError):
    """An attempt failed. Raised where the task runs, kept with the attempt, shown as JobError.

    Attributes:
        log: What the program had logged by then.
    """

    code = "TASK_FAILED"
    retryable = True
    log: tuple[str, ...] = ()


class UserCodeError(TaskError):
    """The program raised; the message has the exception and the item at fault where known.

    Retried, because programs talk to things that fail for a while, unless the program raised
    NonRetryable.
    """

    code = "USER_CODE"

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class RecordError(TaskError):
    """The data cannot be cut into records: not UTF-8, not JSON, too long, badly quoted."""

    code = "INVALID_RECORD"
    retryable = False


class SqlError(TaskError):
    """A query failed while it ran: it divides by zero, overflows, casts what cannot be cast."""

    code = "SQL_FAILED"
    retryable = False


class ResourceError(TaskError):
    """A task needs more memory or temporary space than it may have."""

    code = "RESOURCE_EXHAUSTED"
    retryable = False


class NonRetryable(FanfoldError):
    """Raised by a program to end an item at once: trying again would fail again."""

    code = "USER_CODE"


class OutputError(TaskError):
    """The program returned something that JSON cannot hold, or of the wrong shape."""

    code = "INVALID_OUTPUT"
    retryable = False


class TaskTimeoutError(TaskError):
    """The attempt ran longer than ``failurePolicy.taskTimeoutSeconds``."""

    code = "TASK_TIMEOUT"


class TaskCrashedError(TaskError):
    """The process that ran the attempt died: killed, out of memory, or ended by the program."""

    code = "TASK_CRASHED"


class AttemptsExhaustedError(TaskError):
    """The last allowed attempt was lost with its worker."""

    code = "WORKER_LOST"
    retryable = False
