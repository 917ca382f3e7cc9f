"""The parts that several roles wire alike, made from the settings."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from adapters.https.sources import HttpsSources
from adapters.obstore.blobs import ObstoreBlobs
from adapters.obstore.output import ObstoreOutput
from adapters.obstore.sources import ObstoreSources
from app.settings import SIGNING_KEY_BYTES, Settings
from app.telemetry.logs import set_up_logging
from engine.blobs import BlobStore
from engine.catalog import load_catalog
from engine.errors import ConfigError
from engine.output.destination import FILE, Destinations, OutputStore
from engine.output.folders import OutputFolders
from engine.signing import Signer
from engine.source.blob_files import BlobFiles
from engine.source.roots import SourceRoots
from engine.source.sources import BLOB, LOCAL, Sources
from engine.source.store import SourceStore
from engine.steps import Steps


def blobs_of(settings: Settings) -> ObstoreBlobs:
    """Return the blob store of this deployment."""
    uri = settings.result_uri
    if uri is None:
        return ObstoreBlobs.local(settings.data_dir / "blobs")
    if uri.startswith("s3://"):
        return ObstoreBlobs.s3(uri, settings.s3_endpoint)
    return ObstoreBlobs.local(Path(uri.removeprefix("file://")))


def sources_of(settings: Settings, blobs: BlobStore) -> Sources:
    """Return everything that jobs may read."""
    stores: dict[str, SourceStore] = {
        LOCAL: SourceRoots(settings.source_roots, private=_own_folders(settings)),
        BLOB: BlobFiles(blobs),
        "s3": ObstoreSources(endpoint=settings.s3_endpoint, private=_own_bucket(settings)),
    }
    if settings.source_hosts:
        stores["https"] = HttpsSources(settings.source_hosts)
    return Sources(stores)


def _own_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders that hold keys, jobs and results of all tenants."""
    uri = settings.result_uri
    if uri is None or uri.startswith("s3://"):
        return (settings.data_dir,)
    return (settings.data_dir, Path(uri.removeprefix("file://")))


def _own_bucket(settings: Settings) -> str | None:
    """Return the prefix in S3 that holds results of all tenants, if that is where they are."""
    uri = settings.result_uri
    return uri if uri is not None and uri.startswith("s3://") else None


def destinations_of(settings: Settings) -> Destinations:
    """Return everything that jobs may have results written to."""
    stores: dict[str, OutputStore] = {
        "s3": ObstoreOutput(endpoint=settings.s3_endpoint, private=_own_bucket(settings))
    }
    if settings.output_roots:
        stores[FILE] = OutputFolders(settings.output_roots)
    return Destinations(stores)


def signing_key_file(settings: Settings) -> Path:
    """Return where the key is kept that is made for a data folder, once there is one."""
    return settings.data_dir / "signing.key"


def signer_of(settings: Settings) -> Signer:
    """Return what signs tokens of this deployment; every process of it has the same key.

    Raises:
        ConfigError: The key there is too short.
    """
    if settings.signing_key is not None:
        return Signer(settings.signing_key.encode())
    path = signing_key_file(settings)
    with suppress(FileExistsError):
        key = secrets.token_bytes(SIGNING_KEY_BYTES)
        with tempfile.NamedTemporaryFile(dir=settings.data_dir, delete=False) as file:
            file.write(key)
        try:
            os.link(file.name, path)
        finally:
            os.unlink(file.name)
    key = path.read_bytes()
    if len(key) < SIGNING_KEY_BYTES:
        raise ConfigError(
            f"{path}: the signing key must have {SIGNING_KEY_BYTES} random bytes or more, has "
            f"{len(key)}; remove it to have one made"
        )
    return Signer(key)


def steps_of(settings: Settings, *, scratch: Path) -> Steps:
    """Return what a task process needs to run any task in Python.

    Raises:
        ConfigError: A program cannot be loaded.
    """
    blobs = blobs_of(settings)
    return Steps(
        catalog=load_catalog(settings.programs),
        blobs=blobs,
        sources=sources_of(settings, blobs),
        destinations=destinations_of(settings),
        scratch=scratch,
        inline_result_bytes=settings.inline_result_bytes,
    )


def environment_of(settings: Settings, *, redis_url: str | None) -> dict[str, str]:
    """Return the environment of a process of the same deployment, such as a worker of ``up``.

    Args:
        settings: Of the deployment.
        redis_url: The Redis to work with; None for a process that has no business there.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FANFOLD_")}
    optional = {
        "FANFOLD_SIGNING_KEY": None if redis_url is None else settings.signing_key,
        "FANFOLD_JWKS_URL": settings.jwks_url,
        "FANFOLD_JWT_ISSUER": settings.jwt_issuer,
        "FANFOLD_JWT_AUDIENCE": settings.jwt_audience,
        "FANFOLD_REDIS_URL": redis_url,
        "FANFOLD_RESULT_URI": settings.result_uri,
        "FANFOLD_S3_ENDPOINT": settings.s3_endpoint,
        "FANFOLD_OTEL": None if settings.otel is None else "on" if settings.otel else "off",
    }
    quotas = asdict(settings.quotas)
    return (
        inherited
        | {f"FANFOLD_QUOTA_{name.upper()}": str(limit) for name, limit in quotas.items()}
        | {name: value for name, value in optional.items() if value}
        | {
            "FANFOLD_MAX_TASK_SECONDS": str(settings.longest_task_s or 0),
            "FANFOLD_AUTH": ",".join(sorted(settings.auth)) or "off",
            "FANFOLD_JWT_TENANT_CLAIM": settings.jwt_tenant_claim,
            "FANFOLD_ALLOWED_HOSTS": ",".join(settings.allowed_hosts),
            "FANFOLD_DATA_DIR": str(settings.data_dir),
            "FANFOLD_PROGRAMS": ",".join(settings.programs),
            "FANFOLD_SOURCE_ROOTS": os.pathsep.join(map(str, settings.source_roots)),
            "FANFOLD_OUTPUT_ROOTS": os.pathsep.join(map(str, settings.output_roots)),
            "FANFOLD_SOURCE_HOSTS": ",".join(settings.source_hosts),
            "FANFOLD_WEBHOOK_HOSTS": ",".join(settings.webhook_hosts),
            "FANFOLD_INTROSPECTION": "on" if settings.introspection else "off",
            "FANFOLD_SQL": "on" if settings.sql else "off",
            "FANFOLD_RETENTION_SECONDS": str(settings.retention_seconds),
            "FANFOLD_INLINE_RESULT_BYTES": str(settings.inline_result_bytes),
            "FANFOLD_GRACE_SECONDS": str(settings.grace_seconds),
            "FANFOLD_LOG": settings.log,
            "FANFOLD_LOG_LEVEL": settings.log_level,
        }
    )


def module_command(module: str, *args: str) -> list[str]:
    """Return the command that runs one of our modules with this interpreter, from any folder."""
    checkout = Path(__file__).resolve().parent.parent
    start = f"import sys; sys.path.insert(0, {str(checkout)!r}); from {module} import main; main()"
    return [sys.executable, "-c", start, *args]


def log_to_stderr(settings: Settings) -> None:
    """Send log lines to standard error, as the settings want them and without what they hide."""
    hidden = (name for name, field in Settings.model_fields.items() if not field.repr)
    secrets_of = [str(getattr(settings, name) or "") for name in hidden]
    set_up_logging(settings.log, settings.log_level, secrets=secrets_of)
