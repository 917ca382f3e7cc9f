"""Settings: what a deployment may set, read from the environment once, at the start.

Owns names, defaults and limits. Reads no environment by itself: the caller hands it over, so that
a test or a second service in one process has its own. Refuses unknown ``FANFOLD_`` names, because
a misspelt setting that is silently ignored costs an evening.
"""

from __future__ import annotations

import difflib
import ipaddress
import logging
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from engine.errors import ConfigError

PREFIX = "FANFOLD_"

# Read by the command's clients, not by a service.
_CLIENT_NAMES = frozenset({"FANFOLD_URL"})
# Of the public interface, but without effect in this version.
_LATER_NAMES = frozenset({"FANFOLD_JWKS_URL"})

log = logging.getLogger(__name__)


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


def _switch(value: object) -> bool:
    known = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    wanted = str(value).strip().lower()
    if wanted not in known:
        raise ValueError(f"must be on or off, got {value!r}")
    return known[wanted]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class Settings(BaseModel):
    """What this deployment may set; every value checked, every path absolute.

    Attributes:
        auth: ``off`` only, for now; callers are then trusted, so ``host`` must be loopback.
        host: Address to listen on.
        port: Port to listen on.
        data_dir: Where everything lives that must survive; created, for this user alone.
        redis_url: Redis to use; None means a private one below ``data_dir``. May hold a password
            and is therefore left out of the ``repr``.
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
        sql: Whether jobs may be given as SQL.
        retention_seconds: For how long a finished job and its results are kept.
        inline_result_bytes: Largest result that travels inside an answer.
        max_wait_ms: Longest that one request may wait for a job.
        grace_seconds: For how long a worker that got SIGTERM lets its tasks run on; what is left
            then is handed back and costs no try.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    # Validated in this order: host looks at auth, source_roots at data_dir.
    auth: Literal["off"] = "off"
    host: str = "127.0.0.1"
    port: Annotated[int, _whole(1, 65535)] = 8000
    data_dir: Path = Path(".fanfold")
    redis_url: str | None = Field(default=None, repr=False)
    workers: Annotated[int, _whole(1, 1024)] = Field(default_factory=_cores)
    programs: Annotated[tuple[str, ...], BeforeValidator(_listed(","))] = ()
    source_roots: Annotated[tuple[Path, ...], BeforeValidator(_listed(os.pathsep))] = ()
    output_roots: Annotated[tuple[Path, ...], BeforeValidator(_listed(os.pathsep))] = ()
    result_uri: str | None = None
    s3_endpoint: str | None = None
    source_hosts: Annotated[tuple[str, ...], BeforeValidator(_listed(","))] = ()
    sql: Annotated[bool, BeforeValidator(_switch)] = True
    retention_seconds: Annotated[int, _whole(1, 10 * 365 * 86_400)] = 604_800
    inline_result_bytes: Annotated[int, _whole(0, 16 * 1024 * 1024)] = 65536
    max_wait_ms: Annotated[int, _whole(0, 300_000)] = 25_000
    grace_seconds: Annotated[int, _whole(0, 3_600)] = 5

    @field_validator("auth", mode="before")
    @classmethod
    def _auth_is_available(cls, value: object) -> object:
        if value != "off":
            raise ValueError(f"only 'off' is available, got {value!r}")
        return value

    @field_validator("host")
    @classmethod
    def _host_is_loopback(cls, value: str) -> str:
        if not _is_loopback(value):
            raise ValueError(
                "must be a loopback address, such as 127.0.0.1, because anyone who reaches the "
                f"service may use it while FANFOLD_AUTH is off; got {value!r}"
            )
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
    problems = _unknown_names(environ, known=names.keys() | _CLIENT_NAMES | _LATER_NAMES)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as exc:
        raise ConfigError("\n".join([*_lines(exc), *problems])) from exc
    if problems:
        raise ConfigError("\n".join(problems))
    for name in sorted(_LATER_NAMES & environ.keys()):
        log.warning("%s: has no effect in this version", name)
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
