"""One role of a cluster in a process of its own: the API, or a worker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.running import (
    PROGRAMS,
    READY_WITHIN_S,
    STOPS_WITHIN_S,
    RunningService,
    command,
    environment,
    is_alive,
    url_of,
)
from tests.support.waiting import eventually


@contextmanager
def running_role(
    role: str, data_dir: Path, *, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Run ``fanfold`` *role* until the block is left; its log is beside the data folder."""
    environ = {
        "FANFOLD_DATA_DIR": str(data_dir),
        "FANFOLD_PROGRAMS": str(PROGRAMS),
        "FANFOLD_SQL": "off",
        **settings,
    }
    with data_dir.with_name(f"{data_dir.name}.log").open("a") as log:
        process = subprocess.Popen(
            command(role),
            env=environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(STOPS_WITHIN_S)


@contextmanager
def running_api(
    data_dir: Path, *, port: int, settings: Mapping[str, str]
) -> Iterator[RunningService]:
    """Run the API alone; entered when it answers."""
    with running_role("api", data_dir, settings={**settings, "FANFOLD_PORT": str(port)}) as process:
        service = RunningService(url_of(port), data_dir / "files", data_dir, process)
        eventually(lambda: is_alive(service), within_s=READY_WITHIN_S)
        yield service
