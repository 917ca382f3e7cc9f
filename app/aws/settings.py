"""What a deployment on AWS may set beside the settings that every deployment has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.settings import PREFIX, Settings, load_settings
from engine.errors import ConfigError
from resolvers.access.caller import Scope, scopes_of


class AwsSettings(BaseModel):
    """Names and addresses of what the template has made; ``deploy/aws/template.yaml`` sets them.

    Attributes:
        table: Of jobs, in DynamoDB.
        state_machine: ARN of the one that runs jobs of any size; None where none is to be started.
        express_state_machine: ARN of the one for small jobs; None sends those to the other.
        appsync_url: Where statuses are published; None where nobody subscribes there.
        socket_url: Management endpoint of the WebSocket API; None without one.
        emr_application: Id of the EMR Serverless application; None without Spark.
        emr_role: ARN that its jobs run as.
        emr_entry_point: Of its jobs, in S3.
        emr_spark_parameters: Of ``spark-submit``, such as ``--conf spark.executor.cores=8``.
        emr_timeout_minutes: After which EMR ends a run; 0 for never.
        spark: ``local`` runs Spark on this machine where there is no EMR; None does not.
        url: Where the REST face is, for addresses in answers; None without one.
        tenant: Of callers whom IAM knows, or who show an API key of AppSync alone.
        api_key_scopes: What the latter may do; the former may do everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str = Field(min_length=3, max_length=255)
    state_machine: str | None = None
    express_state_machine: str | None = None
    appsync_url: str | None = None
    socket_url: str | None = None
    emr_application: str | None = None
    emr_role: str | None = None
    emr_entry_point: str | None = None
    emr_spark_parameters: str = ""
    emr_timeout_minutes: int = Field(default=1_440, ge=0, le=1_000_000)
    spark: Literal["local"] | None = None
    url: str | None = None
    tenant: str = "main"
    api_key_scopes: tuple[str, ...] = ("read", "submit")

    @field_validator("api_key_scopes", mode="before")
    @classmethod
    def _scopes_are_known(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        words = value.split(",") if isinstance(value, str) else value
        if len(scopes_of(words)) < len(words):
            raise ValueError(f"must be some of {', '.join(Scope)}, got {value!r}")
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Deployment:
    """All settings of a process on AWS."""

    common: Settings
    aws: AwsSettings


_NAMES: Final = {PREFIX + "AWS_" + field.upper(): field for field in AwsSettings.model_fields}


def load_deployment(environ: Mapping[str, str]) -> Deployment:
    """Return the settings of *environ*; ``FANFOLD_AWS_TABLE`` and its like are ``AwsSettings``.

    Raises:
        ConfigError: Anything is wrong; the message has one line for every problem.
    """
    values = {field: environ[name] for name, field in _NAMES.items() if environ.get(name)}
    rest = {name: value for name, value in environ.items() if name not in _NAMES}
    try:
        aws = AwsSettings.model_validate(values)
    except ValidationError as exc:
        raise ConfigError("\n".join([*_lines(exc), *_problems_of(rest)])) from exc
    return Deployment(load_settings(rest), aws)


def _lines(exc: ValidationError) -> list[str]:
    return [
        f"{PREFIX}AWS_{str(error['loc'][0]).upper()}: {error['msg'].removeprefix('Value error, ')}"
        for error in exc.errors()
    ]


def _problems_of(environ: Mapping[str, str]) -> list[str]:
    try:
        load_settings(environ)
    except ConfigError as exc:
        return [exc.message]
    return []
