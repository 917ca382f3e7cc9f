"""What a process that runs SQL keeps of its rights."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Final

from app.settings import Settings
from engine.sql.landlock import restrict
from engine.sql.sandbox import limit_memory

_SYSTEM: Final = (
    "/usr", "/lib", "/lib64", "/dev/null", "/dev/urandom", "/proc/self", "/proc/meminfo",
    "/proc/cpuinfo", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/etc/localtime",
)  # fmt: skip
_NETWORK: Final = (
    "/etc/ssl", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf",
)  # fmt: skip
_NO_ACCOUNT: Final = ("AWS_CA_BUNDLE", "AWS_PAGER")

log = logging.getLogger(__name__)


def confine(settings: Settings, scratch: Path) -> None:
    """Leave this process what queries need: sources to read, scratch and blobs to write.

    It keeps the network only where sources or blobs may be elsewhere. Without Landlock in the
    kernel, DuckDB's own configuration is the only wall; a line in the log says so.
    """
    uses_network = _uses_network(settings)
    readable = [
        *map(Path, _SYSTEM),
        *((*map(Path, _NETWORK), *_certificates()) if uses_network else ()),
        Path(sys.prefix),
        Path(sys.base_prefix),
        *_code(settings),
        *settings.source_roots,
    ]
    if not restrict(
        readable=readable,
        writable=[scratch, *_blob_folders(settings)],
        may_use_network=uses_network,
    ):
        log.warning("the kernel has no Landlock; DuckDB's own limits are the only wall around SQL")
    limit_memory()


def _certificates() -> list[Path]:
    """Return where this deployment keeps authorities of its own, as OpenSSL and rustls look."""
    folders = os.environ.get("SSL_CERT_DIR", "").split(os.pathsep)
    return [Path(path) for path in (os.environ.get("SSL_CERT_FILE"), *folders) if path]


def _code(settings: Settings) -> list[Path]:
    """Return where modules may be loaded from, without any folder that holds our data."""
    checkout = Path(__file__).resolve().parent.parent
    packages = [folder.parent for folder in checkout.glob("*/__init__.py")]
    paths = [Path(entry).resolve() for entry in sys.path if entry]
    return packages + [path for path in paths if not settings.data_dir.is_relative_to(path)]


def _blob_folders(settings: Settings) -> list[Path]:
    if settings.result_uri is None:
        return [settings.data_dir / "blobs", *settings.output_roots]
    if settings.result_uri.startswith("s3://"):
        return list(settings.output_roots)
    return [Path(settings.result_uri), *settings.output_roots]


def _uses_network(settings: Settings) -> bool:
    return bool(
        settings.s3_endpoint
        or settings.source_hosts
        or (settings.result_uri or "").startswith("s3://")
        or any(name.startswith("AWS_") and name not in _NO_ACCOUNT for name in os.environ)
    )
