"""What a job is asked to do: the submitted input, checked and with every default filled in.

Field names on the wire are those of the GraphQL contract (camelCase); a problem's path is therefore
the path in the caller's input.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, ErrorDetails
from pydantic_core.core_schema import custom_error_schema

from engine.errors import InputError, Issue
from engine.runner import Runner

MAX_INLINE_ITEMS: Final = 100_000
MAX_URIS: Final = 10_000
MAX_TAGS: Final = 50
MAX_FIELDS: Final = 100
MAX_NAME_LENGTH: Final = 200
MAX_URI_LENGTH: Final = 4_096
MAX_SQL_LENGTH: Final = 65_536
MAX_WEBHOOK_LENGTH: Final = 2_048
_OBJECT: Final = "must be an object"
_LIST: Final = "must be a list"
_SAID: Final = {
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "too_long": "may have {max_length} entries, not {actual_length}",
    "too_short": "must have {min_length} or more entries, not {actual_length}",
    "extra_forbidden": "there is no such field",
    "missing": "must be given",
}
_POINTER: Final = re.compile(r"(/([^~/]|~[01])*)*")
_WEBHOOK: Final = re.compile(r"https?://[^/?#@\\\s]+([/?][!\"$-\[\]-~]*)?")


class DataFormat(StrEnum):
    """How files are cut into records, and how results are written."""

    AUTO = "AUTO"
    TEXT = "TEXT"
    CSV = "CSV"
    JSON = "JSON"
    JSONL = "JSONL"
    PARQUET = "PARQUET"


class FilesMode(StrEnum):
    """What an item is: a record of a file, a listed file, or a record of a file in a manifest."""

    RECORDS = "RECORDS"
    OBJECTS = "OBJECTS"
    MANIFEST = "MANIFEST"


# Neither "5" nor true is a number: GraphQL has refused them already, and the REST body comes here.
_Int = Annotated[int, Strict()]
_Float = Annotated[float, Strict()]
_Bool = Annotated[bool, Strict()]


def _short_and_distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    for tag in tags:
        if not 0 < len(tag) <= MAX_NAME_LENGTH:
            raise ValueError(f"a tag has 1 to {MAX_NAME_LENGTH} characters")
    return tuple(dict.fromkeys(tags))


# Told is the first entry that is wrong: looking at each of a hundred thousand takes a second.
_Texts = Annotated[tuple[str, ...], FailFast()]
Tags = Annotated[_Texts, Field(max_length=MAX_TAGS), AfterValidator(_short_and_distinct)]
"""Labels of a job; repeated ones count once."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=False
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if len(data) > MAX_FIELDS:
                raise ValueError(f"has {len(data)} fields, more than there are")
            return {key: value for key, value in data.items() if value is not None}
        return data


class CsvSpec(_Part):
    """How CSV files are laid out."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: _Bool = True
    columns: tuple[str, ...] | None = Field(default=None, fail_fast=True)

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


class LayoutSpec(_Part):
    """How the records of a file are laid out."""

    format: DataFormat = DataFormat.AUTO
    csv: CsvSpec = CsvSpec()
    items_pointer: str | None = Field(default=None, max_length=1_000)

    @field_validator("items_pointer")
    @classmethod
    def _pointer_is_one(cls, value: str | None) -> str | None:
        if value and not _POINTER.fullmatch(value):
            raise ValueError("must be a JSON Pointer such as /data/items")
        return value


class FilesSpec(LayoutSpec):
    """Files and objects, by their URIs."""

    uris: _Texts = Field(min_length=1, max_length=MAX_URIS)
    mode: FilesMode = FilesMode.RECORDS


class UploadSpec(LayoutSpec):
    """A file that was sent through ``createUpload``."""

    id: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)


def _one_problem_an_item(item: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    return custom_error_schema(
        handler(item), "item", custom_error_message="must be a string or an object"
    )


_Item = Annotated[str | dict[str, Any], GetPydanticSchema(_one_problem_an_item)]


def _as_they_are(items: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Take items that need no look at each: there may be a hundred thousand."""
    is_plain = isinstance(items, list | tuple) and len(items) <= MAX_INLINE_ITEMS
    return tuple(items) if is_plain and set(map(type, items)) <= {str, dict} else check(items)


class SourceSpec(_Part):
    """Exactly one kind of source."""

    inline: Annotated[tuple[_Item, ...] | None, WrapValidator(_as_they_are)] = Field(
        default=None, max_length=MAX_INLINE_ITEMS
    )
    files: FilesSpec | None = None
    upload: UploadSpec | None = None
    job: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_LENGTH)

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSpec:
        given = [
            part for part in (self.inline, self.files, self.upload, self.job) if part is not None
        ]
        if len(given) != 1:
            raise ValueError("give exactly one of inline, files, upload and job")
        return self

    @property
    def layout(self) -> LayoutSpec:
        """How the source's records are laid out."""
        return self.files or self.upload or LayoutSpec()


class BatchingSpec(_Part):
    """A batch ends at whichever limit comes first; left out, the planner chooses."""

    max_items: _Int | None = Field(default=None, ge=1, le=10_000_000)
    max_bytes: _Int | None = Field(default=None, ge=1, le=2**40)


class BadItems(StrEnum):
    """What becomes of an item that fails each time."""

    FAIL = "FAIL"
    """Its whole batch fails."""
    SKIP = "SKIP"
    """It is set aside, and the rest of its batch goes on."""


class FailurePolicy(_Part):
    """How often a task is tried, how long one attempt may take, and how many items may fail."""

    max_attempts: _Int = Field(default=3, ge=1, le=100)
    backoff_ms: _Int = Field(default=500, ge=0, le=60_000)
    task_timeout_seconds: _Float | None = Field(default=None, gt=0, le=7 * 86_400)
    tolerated_failure_count: _Int = Field(default=0, ge=0, le=2**31 - 1)
    tolerated_failure_percentage: _Float = Field(default=0, ge=0, le=100)
    bad_items: BadItems = BadItems.FAIL


class OutputSpec(_Part):
    """How the result is written, and where; left out, to storage that the service owns."""

    format: DataFormat = DataFormat.JSONL
    uri: str | None = Field(default=None, min_length=1, max_length=MAX_URI_LENGTH)

    @field_validator("format")
    @classmethod
    def _format_can_be_written(cls, value: DataFormat) -> DataFormat:
        if value is DataFormat.AUTO:
            return DataFormat.JSONL
        if value not in (DataFormat.JSONL, DataFormat.CSV, DataFormat.PARQUET):
            raise ValueError("must be JSONL, CSV or PARQUET")
        return value


_JSON_ALREADY: Final[dict[str, Any]] = {"params": True, "source": {"inline": True}}
"""Looking for what JSON has no form for would take long."""


class JobSpec(_Part):
    """A submitted job. The GraphQL input and the REST body are both read by ``parse_spec``."""

    program: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_LENGTH)
    sql: str | None = Field(default=None, min_length=1, max_length=MAX_SQL_LENGTH)
    params: dict[str, Any] = Field(default_factory=dict)
    source: SourceSpec
    batching: BatchingSpec = BatchingSpec()
    max_concurrency: _Int | None = Field(default=None, ge=1, le=10_000)
    reducers: _Int | None = Field(default=None, ge=1, le=1_000)
    failure_policy: FailurePolicy = FailurePolicy()
    output: OutputSpec = OutputSpec()
    partial_every_ms: _Int = Field(default=0, ge=0, le=86_400_000)
    runner: Runner | None = None
    retention_seconds: _Int | None = Field(default=None, ge=1, le=10 * 365 * 86_400)
    name: str | None = Field(default=None, max_length=MAX_NAME_LENGTH)
    tags: Tags = ()
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_LENGTH)
    timeout_seconds: _Float | None = Field(default=None, gt=0, le=30 * 86_400)
    webhook: str | None = None

    @model_validator(mode="after")
    def _is_program_or_sql(self) -> JobSpec:
        if (self.program is None) == (self.sql is None):
            raise ValueError("give exactly one of program and sql")
        return self

    @field_validator("webhook")
    @classmethod
    def _webhook_is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not is_webhook(value):
            raise ValueError(
                "must be an address such as https://host/path, without user or #, of"
                f" {MAX_WEBHOOK_LENGTH} characters at most"
            )
        return value

    def to_json(self) -> dict[str, Any]:
        """Return the spec as the caller would write it, with every default filled in."""
        data = self.model_dump(mode="json", by_alias=True, exclude=_JSON_ALREADY)
        inline = self.source.inline
        data["source"]["inline"] = None if inline is None else list(inline)
        data["params"] = self.params
        return data


class LastSpec:
    """Reads specs that are stored; one that comes again at once, as with every task, for little."""

    def __init__(self) -> None:
        self._data: dict[str, Any] | None = None
        self._spec: JobSpec | None = None

    def read(self, data: dict[str, Any]) -> JobSpec:
        """Return what ``JobSpec.to_json`` was made of."""
        if self._spec is None or self._data != data:
            self._spec, self._data = JobSpec.model_validate(data), data
        return self._spec


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


def is_webhook(text: str) -> bool:
    """Return whether *text* reads like the address of a webhook, wherever it leads."""
    return len(text) <= MAX_WEBHOOK_LENGTH and _WEBHOOK.fullmatch(text) is not None


def issues_of(error: ValidationError, *prefix: str) -> list[Issue]:
    """Translate pydantic's problems into issues whose paths begin with *prefix*."""
    issues: dict[Issue, None] = {}
    for problem in error.errors(include_url=False, include_input=False):
        path = tuple(str(part) for part in problem["loc"] if not _names_a_union_arm(part))
        issues[Issue((*prefix, *path), _message_of(problem))] = None
    return list(issues)


def _message_of(problem: ErrorDetails) -> str:
    """Return what is wrong in the words of JSON, where pydantic has those of Python."""
    said = _SAID.get(problem["type"])
    if said is not None:
        return said.format(**problem.get("ctx", {}))
    message = problem["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _names_a_union_arm(part: int | str) -> bool:
    return isinstance(part, str) and (part == "str" or part.startswith(("dict[", "tuple[")))
