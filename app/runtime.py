"""The parts that several roles wire alike, made from the settings."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from adapters.obstore_blobs import ObstoreBlobs
from app.settings import Settings
from engine.catalog import load_catalog
from engine.source.roots import SourceRoots
from engine.steps import Steps

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def blobs_of(settings: Settings) -> ObstoreBlobs:
    """Return the blob store of this deployment."""
    return ObstoreBlobs(settings.data_dir / "blobs")


def steps_of(settings: Settings) -> Steps:
    """Return what a task process needs to run any task.

    Raises:
        ConfigError: A program cannot be loaded.
    """
    return Steps(
        catalog=load_catalog(settings.programs),
        blobs=blobs_of(settings),
        roots=SourceRoots(settings.source_roots),
        inline_result_bytes=settings.inline_result_bytes,
    )


def environment_of(settings: Settings, *, redis_url: str) -> dict[str, str]:
    """Return the environment of a process of the same deployment, such as a worker of ``up``."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FANFOLD_")}
    return inherited | {
        "FANFOLD_DATA_DIR": str(settings.data_dir),
        "FANFOLD_REDIS_URL": redis_url,
        "FANFOLD_PROGRAMS": ",".join(settings.programs),
        "FANFOLD_SOURCE_ROOTS": os.pathsep.join(map(str, settings.source_roots)),
        "FANFOLD_INLINE_RESULT_BYTES": str(settings.inline_result_bytes),
    }


def module_command(module: str, *args: str) -> list[str]:
    """Return the command that runs one of our modules with this interpreter, from any folder."""
    checkout = Path(__file__).resolve().parent.parent
    start = f"import sys; sys.path.insert(0, {str(checkout)!r}); from {module} import main; main()"
    return [sys.executable, "-c", start, *args]


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send log lines to standard error."""
    logging.basicConfig(level=level, format=LOG_FORMAT, stream=sys.stderr)
