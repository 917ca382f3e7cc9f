"""The engine's enums, served as they are, with what clients should know of their values."""

from __future__ import annotations

from enum import Enum, StrEnum

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from engine.job import JobAction, JobPhase, JobState, TaskState
from engine.runner import Runner
from engine.spec import BadItems, DataFormat, FilesMode
from engine.webhook_delivery import WebhookState


def _serve(enum: type[Enum], about: str | None = None, /, **descriptions: str) -> None:
    strawberry.enum(enum, description=about)
    definition: StrawberryEnumDefinition = vars(enum)["__strawberry_definition__"]
    for value in definition.values:
        value.description = descriptions.get(value.name)


_serve(
    JobState,
    QUEUED="Accepted; no worker has begun.",
    PARTIALLY_SUCCEEDED=(
        "Ended within the tolerated failures: the result is usable, and what is missing is listed."
    ),
)
_serve(
    JobPhase,
    PLAN="Listing the source and cutting it into batches.",
    FINISH="Ordering, limiting and writing the result.",
)
_serve(JobAction)
_serve(TaskState)
_serve(DataFormat, AUTO="Read from the file name and its first bytes.")
_serve(FilesMode)
_serve(BadItems)
_serve(
    Runner,
    "Where map and reduce tasks run.",
    WORKERS="arq workers over Redis.",
    STEP_FUNCTIONS="AWS Step Functions Distributed Map with Lambda.",
    SPARK="Spark: local, or EMR Serverless.",
)
_serve(
    WebhookState,
    WAITING="The run has not ended.",
    PENDING="It has, and the webhook is being told, or is told again later.",
    DELIVERED="The webhook has answered 2xx.",
    FAILED="It answered 410, or nothing useful for a day; it is not told any more.",
)


@strawberry.enum
class TaskKind(StrEnum):
    """The engine's kinds of tasks but for PLAN, which is ours alone."""

    MAP = "MAP"
    REDUCE = "REDUCE"
    FINISH = "FINISH"


__all__ = [
    "BadItems",
    "DataFormat",
    "FilesMode",
    "JobAction",
    "JobPhase",
    "JobState",
    "Runner",
    "TaskKind",
    "TaskState",
    "WebhookState",
]
