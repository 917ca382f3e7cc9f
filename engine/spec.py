"""What a job is asked to do: the submitted input, checked and with every default filled in.

Field names on the wire are those of the GraphQL contract (camelCase); a problem's path is therefore
the path in the caller's input.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema
from pydantic_core.core_schema import custom_error_schema

from engine.errors import InputError, Issue

MAX_INLINE_ITEMS: Final = 100_000
MAX_URIS: Final = 10_000
MAX_TAGS: Final = 50
MAX_NAME_LENGTH: Final = 200


class DataFormat(StrEnum):
    """How files are cut into records."""

    AUTO = "AUTO"
    TEXT = "TEXT"
    CSV = "CSV"
    JSONL = "JSONL"


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=False
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


class CsvSpec(_Part):
    """How CSV files are laid out."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: bool = True
    columns: tuple[str, ...] | None = None

    @field_validator("columns")
    @classmethod
    def _columns_are_distinct(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (len(set(value)) < len(value) or "" in value):
            raise ValueError("must be distinct names that are not empty")
        return value

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_plain(cls, value: str) -> str:
        if value in '"\r\n' or not value.isascii():
            raise ValueError("must be one ASCII character other than a quote or a line break")
        return value


class FilesSpec(_Part):
    """Files below the source roots."""

    uris: tuple[str, ...] = Field(min_length=1, max_length=MAX_URIS)
    format: DataFormat = DataFormat.AUTO
    csv: CsvSpec = CsvSpec()


def _one_problem_an_item(item: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    return custom_error_schema(
        handler(item), "item", custom_error_message="must be a string or an object"
    )


_Item = Annotated[str | dict[str, Any], GetPydanticSchema(_one_problem_an_item)]


class SourceSpec(_Part):
    """Exactly one kind of source."""

    inline: tuple[_Item, ...] | None = Field(default=None, max_length=MAX_INLINE_ITEMS)
    files: FilesSpec | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSpec:
        if (self.inline is None) == (self.files is None):
            raise ValueError("give exactly one of inline and files")
        return self


class BatchingSpec(_Part):
    """A batch ends at whichever limit comes first; left out, the planner chooses."""

    max_items: int | None = Field(default=None, ge=1, le=10_000_000)
    max_bytes: int | None = Field(default=None, ge=1, le=2**40)


class FailurePolicy(_Part):
    """How often a task is tried, and how long one attempt may take."""

    max_attempts: int = Field(default=3, ge=1, le=100)
    backoff_ms: int = Field(default=500, ge=0, le=60_000)
    task_timeout_seconds: float | None = Field(default=None, gt=0, le=7 * 86_400)


class JobSpec(_Part):
    """A submitted job. The GraphQL input and the REST body are both read by ``parse_spec``."""

    program: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    params: dict[str, Any] = {}
    source: SourceSpec
    batching: BatchingSpec = BatchingSpec()
    max_concurrency: int | None = Field(default=None, ge=1, le=10_000)
    reducers: int | None = Field(default=None, ge=1, le=1_000)
    failure_policy: FailurePolicy = FailurePolicy()
    name: str | None = Field(default=None, max_length=MAX_NAME_LENGTH)
    tags: tuple[str, ...] = Field(default=(), max_length=MAX_TAGS)
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_LENGTH)
    timeout_seconds: float | None = Field(default=None, gt=0, le=30 * 86_400)

    @field_validator("tags")
    @classmethod
    def _tags_are_short_and_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for tag in value:
            if not 0 < len(tag) <= MAX_NAME_LENGTH:
                raise ValueError(f"a tag has 1 to {MAX_NAME_LENGTH} characters")
        return tuple(dict.fromkeys(value))

    def to_json(self) -> dict[str, Any]:
        """Return the spec as the caller would write it, with every default filled in."""
        return self.model_dump(mode="json", by_alias=True)


def parse_spec(data: dict[str, Any]) -> JobSpec:
    """Read and check a submitted input.

    Args:
        data: The input with the contract's names; null means left out.

    Raises:
        InputError: Something is wrong; every problem is listed with its path.
    """
    try:
        return JobSpec.model_validate(data)
    except ValidationError as exc:
        raise InputError(*issues_of(exc, "input")) from exc


def issues_of(error: ValidationError, *prefix: str) -> list[Issue]:
    """Translate pydantic's problems into issues whose paths begin with *prefix*."""
    issues: dict[Issue, None] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = tuple(str(part) for part in problem["loc"] if not _names_a_union_arm(part))
        message = problem["msg"].removeprefix("Value error, ")
        issues[Issue((*prefix, *path), message[:1].lower() + message[1:])] = None
    return list(issues)


def _names_a_union_arm(part: int | str) -> bool:
    return isinstance(part, str) and (part == "str" or part.startswith(("dict[", "tuple[")))
