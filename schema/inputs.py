"""What a job is submitted with; checked by the engine, not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import strawberry
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.utils.str_converters import to_camel_case

from schema.enums import BadItems, DataFormat, FilesMode, Runner
from schema.scalars import JSON, URL

UNSET = strawberry.UNSET


@strawberry.input
class CsvInput:
    """GraphQL ``CsvInput``."""

    delimiter: str | None = ","
    header: bool | None = strawberry.field(
        default=True, description="Take the column names from the first row."
    )
    columns: list[str] | None = strawberry.field(
        default=UNSET, description="Column names, for files without a header."
    )


@strawberry.input
class FilesInput:
    """GraphQL ``FilesInput``."""

    uris: list[str] = strawberry.field(
        description=(
            "s3://bucket/key, s3://bucket/prefix/, s3://bucket/a/*.csv, https://host/file, or a"
            " path below\none of the server's source roots; * and ** are wildcards."
        )
    )
    format: DataFormat | None = DataFormat.AUTO
    csv: CsvInput | None = UNSET
    items_pointer: str | None = strawberry.field(
        default=UNSET, description="JSON Pointer to the array of items inside a JSON document."
    )
    mode: FilesMode | None = strawberry.field(
        default=FilesMode.RECORDS,
        description=(
            "RECORDS maps what is in the files; OBJECTS maps the listing, an item for each file;"
            " MANIFEST maps the files that the given manifests list."
        ),
    )


@strawberry.input
class UploadInput:
    """GraphQL ``UploadInput``."""

    id: strawberry.ID
    format: DataFormat | None = DataFormat.AUTO
    csv: CsvInput | None = UNSET
    items_pointer: str | None = UNSET


@strawberry.input(description="Exactly one kind of source.", one_of=True)
class SourceInput:
    """GraphQL ``SourceInput``."""

    inline: list[JSON] | None = strawberry.field(
        default=UNSET,
        description="Items sent with the request: strings, or objects as rows.",
    )
    files: FilesInput | None = UNSET
    upload: UploadInput | None = strawberry.field(
        default=UNSET, description="A file sent through createUpload."
    )
    job: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The result of another job of the caller."
    )


@strawberry.input(
    description=(
        "A batch, which is one map task, ends at whichever limit comes first; no record is ever"
        " cut."
    )
)
class BatchingInput:
    """GraphQL ``BatchingInput``."""

    max_items: int | None = UNSET
    max_bytes: int | None = UNSET


@strawberry.input
class FailurePolicyInput:
    """GraphQL ``FailurePolicyInput``."""

    max_attempts: int | None = 3
    backoff_ms: int | None = strawberry.field(
        default=500,
        description="Wait before the second attempt; doubles with jitter up to a minute.",
    )
    task_timeout_seconds: float | None = UNSET
    tolerated_failure_count: int | None = strawberry.field(
        default=0,
        description="The job fails as soon as more items than this have failed.",
    )
    tolerated_failure_percentage: float | None = strawberry.field(
        default=0,
        description="The job fails as soon as a larger share of all items has failed, 0 to 100.",
    )
    bad_items: BadItems | None = strawberry.field(
        default=BadItems.FAIL,
        description="SKIP sets a failing item aside and goes on with the rest of its batch.",
    )


@strawberry.input
class OutputInput:
    """GraphQL ``OutputInput``."""

    format: DataFormat | None = DataFormat.JSONL
    uri: str | None = strawberry.field(
        default=UNSET,
        description=(
            "s3://bucket/prefix/ or a folder below an output root; left out, storage that the"
            " service owns."
        ),
    )


@strawberry.input(description="Give exactly one of program and sql.")
class SubmitJobInput:
    """GraphQL ``SubmitJobInput``."""

    program: str | None = strawberry.field(
        default=UNSET, description="A registered program, such as wordcount."
    )
    sql: str | None = strawberry.field(
        default=UNSET,
        description=(
            "One DuckDB SELECT over the table `input`; Fanfold splits it into map and reduce."
        ),
    )
    params: JSON | None = strawberry.field(
        default=UNSET,
        description=(
            "Checked against the program's paramsSchema, or bound to $name parameters of sql."
        ),
    )
    source: SourceInput
    batching: BatchingInput | None = UNSET
    max_concurrency: int | None = strawberry.field(
        default=UNSET, description="Map tasks at once; left out, as many as there are workers."
    )
    reducers: int | None = strawberry.field(
        default=UNSET, description="Reduce tasks; left out, Fanfold chooses."
    )
    failure_policy: FailurePolicyInput | None = UNSET
    output: OutputInput | None = UNSET
    partial_every_ms: int | None = strawberry.field(
        default=0,
        description=(
            "Publish the answer so far at most this often while the job runs; 0 turns it off."
        ),
    )
    runner: Runner | None = UNSET
    name: str | None = UNSET
    tags: list[str] | None = UNSET
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description=(
            "Same key and same input: the same job. Same key and other input:"
            " IdempotencyConflictError."
        ),
    )
    timeout_seconds: float | None = UNSET
    wait_up_to_ms: int | None = strawberry.field(
        default=0,
        description="Wait this long for a small job to end before answering; 0 answers at once.",
    )
    retention_seconds: int | None = UNSET
    webhook: URL | None = strawberry.field(
        default=UNSET, description="A signed POST with the terminal JobStatus is sent here."
    )

    def to_data(self) -> dict[str, Any]:
        """Return the input with the contract's names, without ``waitUpToMs``.

        What is null or left out is missing; JSON values are as they came.
        """
        data: dict[str, Any] = _to_data(self)
        data.pop("waitUpToMs", None)
        return data


class _GivenJob(SubmitJobInput):
    """An input as the request has it; taking it apart would only mean putting it together again.

    Null and left out are the same to those who check it.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self.wait_up_to_ms = given.get("waitUpToMs")

    def to_data(self) -> dict[str, Any]:
        """Return the input with the contract's names, without ``waitUpToMs``."""
        return {name: value for name, value in self._given.items() if name != "waitUpToMs"}


def _given_job(_type: type, given: Mapping[str, Any], _context: object) -> SubmitJobInput:
    return _GivenJob(given)


_definition: StrawberryObjectDefinition = vars(SubmitJobInput)["__strawberry_definition__"]
_definition.from_input = _given_job


@strawberry.input
class UpdateJobInput:
    """GraphQL ``UpdateJobInput``."""

    id: strawberry.ID
    max_concurrency: int | None = UNSET
    tolerated_failure_count: int | None = UNSET
    tolerated_failure_percentage: float | None = UNSET
    add_tags: list[str] | None = UNSET
    remove_tags: list[str] | None = UNSET

    def to_data(self) -> dict[str, Any]:
        """Return the changes with the contract's names, without ``id``."""
        data: dict[str, Any] = _to_data(self)
        del data["id"]
        return data


@strawberry.input
class RedriveJobInput:
    """GraphQL ``RedriveJobInput``."""

    id: strawberry.ID
    params: JSON | None = strawberry.field(
        default=UNSET, description="Replaces the job's params for what is run again."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET, description="Makes the redrive itself safe to repeat."
    )

    def to_data(self) -> dict[str, Any]:
        """Return what is given with the contract's names, without ``id``."""
        data: dict[str, Any] = _to_data(self)
        del data["id"]
        return data


def _to_data(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if not is_dataclass(value):
        return value
    given = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {
        to_camel_case(name): _to_data(part)
        for name, part in given
        if part is not None and part is not UNSET
    }
