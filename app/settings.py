"""Settings: what a deployment may set, read from the environment once, at the start.

Owns names, defaults and limits. Reads no environment by itself: the caller hands it over, so that
a test or a second service in one process has its own. Refuses unknown ``FANFOLD_`` names, because
a misspelt setting that is silently ignored costs an evening.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tempfile
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.local.embedded_redis import Fsync
from app.telemetry.logs import LogForm, LogLevel
from engine.errors import ConfigError
from engine.quotas import Quotas

PREFIX = "FANFOLD_"

# Read by the command's clients, not by a service.
_CLIENT_NAMES = frozenset({"FANFOLD_URL", "FANFOLD_TOKEN"})

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")
SIGNING_KEY_BYTES = 32
_LARGEST_QUOTA = 1_000_000_000
_USUAL_QUOTAS = Quotas(
    live_jobs=1_000, queued_tasks=1_000_000, connections=20_000, submits_per_minute=6_000
)
_USUAL_TASK_SECONDS = 3_600
_LARGEST_TASK_SECONDS = 7 * 86_400  # what a job may ask for at most, in engine.spec
_HOST_NAME = re.compile(r"\*|(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


class AuthMode(StrEnum):
    """A way to tell who calls."""

    KEYS = "keys"
    JWT = "jwt"


def _whole(minimum: int, maximum: int) -> BeforeValidator:
    def check(value: object) -> int:
        text = str(value).strip()
        digits = text.isascii() and text.isdecimal() and len(text) <= len(str(maximum))
        if not (digits and minimum <= int(text) <= maximum):
            raise ValueError(f"must be {minimum} to {maximum}, got {value!r}")
        return int(text)

    return BeforeValidator(check)


def _listed(separator: str) -> Callable[[object], object]:
    def split(value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part for part in map(str.strip, value.split(separator)) if part)

    return split


def _modes(value: object) -> object:
    """Read ``off``, or ways to tell who calls; none is ``off``."""
    if not isinstance(value, str):
        return value
    words = frozenset(part for part in map(str.strip, value.split(",")) if part)
    if words == {"off"}:
        return frozenset()
    if not words or words - set(AuthMode):
        raise ValueError(f"must be off, keys, jwt or keys,jwt, got {value!r}")
    return words


def _limit(largest: int) -> BeforeValidator:
    """Read ``off`` for no limit, which is kept as 0, or a number."""

    def check(value: object) -> int | None:
        if value is None:
            return None
        text = str(value).strip()
        if text in ("off", "0"):
            return 0
        digits = text.isascii() and text.isdecimal() and len(text) <= len(str(largest))
        if not (digits and 1 <= int(text) <= largest):
            raise ValueError(f"must be off, or 1 to {largest}, got {value!r}")
        return int(text)

    return BeforeValidator(check)


Quota = Annotated[int | None, _limit(_LARGEST_QUOTA)]


def _switch(value: object) -> bool:
    known = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    wanted = str(value).strip().lower()
    if wanted not in known:
        raise ValueError(f"must be on or off, got {value!r}")
    return known[wanted]


def _switch_or_none(value: object) -> object:
    return None if value is None else _switch(value)


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class Settings(BaseModel):
    """What this deployment may set; every value checked, every path absolute.

    Attributes:
        auth: How callers are told apart; nothing is ``off``: everybody is trusted then, so
            ``host`` must be loopback.
        jwks_url: Where the identity provider publishes the keys that it signs tokens with.
        jwt_issuer: Who must have issued a token, its ``iss``.
        jwt_audience: Whom a token must be meant for, its ``aud``.
        jwt_tenant_claim: The claim that names the tenant.
        signing_key: Secret that tokens and addresses are signed with, for processes that share no
            data folder; one is made below it otherwise. Left out of the ``repr``.
        host: Address to listen on.
        allowed_hosts: Names by which the service may be called, beside loopback and ``host``;
            ``*.example.com`` and ``*`` are patterns.
        allowed_origins: Pages of other sites that may call, such as ``https://console.example``.
        port: Port to listen on.
        data_dir: Where everything lives that must survive; created, for this user alone.
        redis_url: Redis to use; None means a private one below ``data_dir``. May hold a password
            and is therefore left out of the ``repr``.
        redis_fsync: When the private one waits for the disk: ``always``, at each change, or
            ``everysec``.
        workers: Worker processes that ``fanfold up`` starts; the usable cores by default.
        programs: Modules, by dotted name or absolute path of a ``.py`` file, that define programs.
        source_roots: Folders that jobs may read; ``<data_dir>/files`` by default, created. Not
            the data folder itself: it holds Redis' log of every job, and other jobs' results,
            which no job may read.
        output_roots: Folders that jobs may write results to; none by default.
        result_uri: Folder or ``s3://bucket/prefix`` for all that the service keeps: shuffle,
            results and uploads; ``<data_dir>/blobs`` by default.
        s3_endpoint: Address of an S3-compatible store; AWS by default. Keys and region come from
            the standard AWS variables.
        source_hosts: Hosts that jobs may read ``https://`` sources from; none by default.
        webhook_hosts: Hosts, with or without a port, that webhooks may reach although their
            addresses are not public; those on loopback also by ``http://``. None by default.
        sql: Whether jobs may be given as SQL.
        retention_seconds: For how long a finished job and its results are kept.
        introspection: Whether callers may ask for the schema, and are told names that are nearly
            right.
        api_processes: Processes that share the port.
        inline_result_bytes: Largest result that travels inside an answer.
        max_wait_ms: Longest that one request may wait for a job.
        max_task_seconds: Longest that one attempt at a task may run; 0 is no limit, and None what
            ``longest_task_s`` tells.
        quota_live_jobs: Jobs of one tenant that have not ended; 0 is no limit, as for all quotas,
            and None what ``quotas`` tells.
        quota_queued_tasks: Tasks of one tenant that nobody has begun.
        quota_connections: Open connections of one tenant to one API process.
        quota_submits_per_minute: Jobs that one tenant may submit a minute.
        connects_per_second: WebSockets and event streams that one API process lets in a second;
            what comes faster waits its turn for some seconds. 0 is no limit.
        grace_seconds: For how long a worker that got SIGTERM lets its tasks run on; what is left
            then is handed back and costs no try.
        log: How log lines are written: ``text`` for people, ``json`` for what collects them.
        log_level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
        metrics_port: Port on which a process shows its own figures to anybody who asks; 0 for none.
        metrics_host: Address of that port; loopback by default.
        otel: Whether traces are sent; by default where a standard variable of OpenTelemetry tells
            where to.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    # Validated in this order: what follows auth looks at it, source_roots looks at data_dir.
    auth: Annotated[frozenset[AuthMode], BeforeValidator(_modes)] = frozenset()
    jwks_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_tenant_claim: str = "tenant"
    signing_key: str | None = Field(default=None, repr=False)
    host: str = "127.0.0.1"
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_listed(","))] = ()
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(_listed(","))] = ()
    port: Annotated[int, _whole(1, 65535)] = 8000
    data_dir: Path = Path(".fanfold")
    redis_url: str | None = Field(default=None, repr=False)
    redis_fsync: Fsync = "everysec"
    workers: Annotated[int, _whole(1, 1024)] = Field(default_factory=_cores)
    programs: Annotated[tuple[str, ...], BeforeValidator(_listed(","))] = ()
    source_roots: Annotated[tuple[Path, ...], BeforeValidator(_listed(os.pathsep))] = ()
    output_roots: Annotated[tuple[Path, ...], BeforeValidator(_listed(os.pathsep))] = ()
    result_uri: str | None = None
    s3_endpoint: str | None = None
    source_hosts: Annotated[tuple[str, ...], BeforeValidator(_listed(","))] = ()
    webhook_hosts: Annotated[tuple[str, ...], BeforeValidator(_listed(","))] = ()
    sql: Annotated[bool, BeforeValidator(_switch)] = True
    retention_seconds: Annotated[int, _whole(1, 10 * 365 * 86_400)] = 604_800
    introspection: Annotated[bool, BeforeValidator(_switch)] = True
    api_processes: Annotated[int, _whole(1, 64)] = 1
    inline_result_bytes: Annotated[int, _whole(0, 16 * 1024 * 1024)] = 65536
    max_wait_ms: Annotated[int, _whole(0, 300_000)] = 25_000
    grace_seconds: Annotated[int, _whole(0, 3_600)] = 5
    max_task_seconds: Annotated[int | None, _limit(_LARGEST_TASK_SECONDS)] = None
    quota_live_jobs: Quota = None
    quota_queued_tasks: Quota = None
    quota_connections: Quota = None
    quota_submits_per_minute: Quota = None
    connects_per_second: Annotated[int, _limit(_LARGEST_QUOTA)] = 2_000
    log: LogForm = "text"
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = "INFO"
    metrics_port: Annotated[int, _whole(0, 65535)] = 0
    metrics_host: str = "127.0.0.1"
    otel: Annotated[bool | None, BeforeValidator(_switch_or_none)] = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which the service may be called.

        No others, because a page of another site could point a name of its own at a loopback
        address and would then pass for one of ours.
        """
        return (*_LOOPBACK_NAMES, self.host, *self.allowed_hosts)

    @property
    def longest_task_s(self) -> int | None:
        """Longest that one attempt at a task may run; None for as long as its job lets it.

        There is one, unless it is lifted, where callers are told apart: none of them may keep a
        worker from the others for ever.
        """
        usual = _USUAL_TASK_SECONDS if self.auth else 0
        return (usual if self.max_task_seconds is None else self.max_task_seconds) or None

    @property
    def quotas(self) -> Quotas:
        """The limits of every tenant; only those that are set, where callers are not told apart."""
        usual = asdict(_USUAL_QUOTAS if self.auth else Quotas())
        named = {name: getattr(self, f"quota_{name}") for name in usual}
        given = {name: limit for name, limit in named.items() if limit is not None}
        return Quotas(**(usual | given))

    @field_validator("jwks_url", "jwt_issuer", "jwt_audience")
    @classmethod
    def _provider_is_complete(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and AuthMode.JWT in info.data.get("auth", ()):
            raise ValueError("must be set, because FANFOLD_AUTH has jwt")
        return value

    @field_validator("jwks_url")
    @classmethod
    def _jwks_url_is_safe(cls, value: str | None) -> str | None:
        if value is None:
            return value
        parts = urllib.parse.urlsplit(value)
        is_safe = parts.scheme == "https" or (
            parts.scheme == "http" and _is_loopback(parts.hostname or "")
        )
        if not is_safe or not parts.hostname or parts.username is not None:
            # Whoever can change what comes from there can sign tokens.
            raise ValueError(f"must be an https address, or http on loopback, got {value!r}")
        return value

    @field_validator("signing_key")
    @classmethod
    def _signing_key_is_long(cls, value: str | None) -> str | None:
        if value is not None and len(value.encode()) < SIGNING_KEY_BYTES:
            raise ValueError(f"must have {SIGNING_KEY_BYTES} random bytes or more")
        return value

    @field_validator("host")
    @classmethod
    def _host_is_loopback(cls, value: str, info: ValidationInfo) -> str:
        if not info.data.get("auth", True) and not _is_loopback(value):
            raise ValueError(
                "must be a loopback address, such as 127.0.0.1, because anyone who reaches the "
                f"service may use it while FANFOLD_AUTH is off; got {value!r}"
            )
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _allowed_hosts_are_names(
        cls, value: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        wrong = [name for name in value if not _HOST_NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"must be names such as jobs.example.com, got {wrong[0]!r}")
        host: str = info.data.get("host", "127.0.0.1")
        if not value and _is_unspecified(host):
            raise ValueError(
                "must be set to the names by which the service is called, such as "
                f"jobs.example.com, because FANFOLD_HOST is {host}, which is all addresses"
            )
        if not info.data.get("auth", True) and "*" in value:
            # A page of another site could point a name of its own at the loopback address.
            raise ValueError("must not be '*' while FANFOLD_AUTH is off")
        return value

    @field_validator("data_dir")
    @classmethod
    def _data_dir_is_writable(cls, value: Path) -> Path:
        return _writable_folder(value)

    @field_validator("redis_url")
    @classmethod
    def _redis_url_has_a_known_scheme(cls, value: str | None) -> str | None:
        # The value stays out of the message: it may hold a password.
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("programs")
    @classmethod
    def _programs_are_modules(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_program(name) for name in value)

    @field_validator("source_roots")
    @classmethod
    def _source_roots_are_folders(
        cls, value: tuple[Path, ...], info: ValidationInfo
    ) -> tuple[Path, ...]:
        if value:
            return tuple(_existing_folder(root) for root in value)
        data_dir: Path | None = info.data.get("data_dir")
        return () if data_dir is None else (_writable_folder(data_dir / "files"),)

    @field_validator("result_uri")
    @classmethod
    def _result_uri_is_a_folder_or_bucket(cls, value: str | None) -> str | None:
        if value is None or re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", value):
            return value
        if "://" in value and not value.startswith("file:///"):
            raise ValueError(f"must be a folder, file:// or s3://bucket/prefix, got {value!r}")
        return str(_writable_folder(Path(value.removeprefix("file://"))))

    @field_validator("s3_endpoint")
    @classmethod
    def _s3_endpoint_is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/@?#]+/?", value):
            raise ValueError("must be an address such as http://127.0.0.1:9000")
        return value

    @field_validator("output_roots")
    @classmethod
    def _output_roots_can_be_written(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(_writable_folder(_existing_folder(root)) for root in value)


def load_settings(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Return the settings of *environ*, each replaced by its override where one is given.

    Empty variables count as unset, as compose files and shells produce them; so do overrides of
    None, as options of a command do. Creates the data folder.

    Args:
        environ: All variables of the process; only those named ``FANFOLD_…`` are looked at.
        overrides: Fields of Settings by name, as text or as values.

    Returns:
        Settings that are complete and checked.

    Raises:
        ConfigError: Anything is wrong; the message has one line for every problem.
        TypeError: An override is no field of Settings.
    """
    if unknown := overrides.keys() - Settings.model_fields.keys():
        raise TypeError(f"no such settings: {', '.join(sorted(unknown))}")
    names = {PREFIX + field.upper(): field for field in Settings.model_fields}
    values: dict[str, Any] = {
        field: environ[name] for name, field in names.items() if environ.get(name, "").strip()
    }
    values |= {field: value for field, value in overrides.items() if value is not None}
    problems = _unknown_names(environ, known=names.keys() | _CLIENT_NAMES)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as exc:
        raise ConfigError("\n".join([*_lines(exc), *problems])) from exc
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def _lines(exc: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{str(error['loc'][0]).upper()}: {error['msg'].removeprefix('Value error, ')}"
        for error in exc.errors(include_url=False, include_input=False)
    ]


def _unknown_names(environ: Mapping[str, str], *, known: set[str]) -> list[str]:
    lines = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
            hint = f", did you mean {nearest[0]}?" if nearest else ""
            lines.append(f"{name}: no such setting{hint}")
    return lines


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _writable_folder(path: Path) -> Path:
    try:
        resolved = path.resolve()
        resolved.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Asking is not enough: on a read-only mount the mode says yes.
        with tempfile.TemporaryFile(dir=resolved):
            return resolved
    except OSError as exc:
        problem = f"must be a folder that can be written, got {path}: {exc.strerror}"
        raise ValueError(problem) from exc


def _existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"must be folders that exist, got {path}")
    return path.resolve()


def _program(name: str) -> str:
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ValueError(f"must be module names or .py files that exist, got {name!r}")
        return str(Path(name).resolve())
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"must be module names or .py files, got {name!r}")
    return name
