"""PySpark for tests, in an environment of its own outside the checkout: it is large."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.running import ROOT

VERSION = "4.3.0"
PANDAS = "2.3.3"
MASTER = "local[2,101]"


def spark_command(*args: str) -> list[str]:
    """Return the command that runs the Spark job's entry point with PySpark."""
    return [str(_python()), "-m", "app.aws.spark", *args]


def spark_environ() -> dict[str, str]:
    """Return what that command finds in its environment beside our settings."""
    return {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{sysconfig.get_path('purelib')}",
        "MASTER": MASTER,
    }


def _python() -> Path:
    """Return the interpreter that has PySpark, installing it at first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = (
        cache / "fanfold-tests" / f"pyspark-{VERSION}-pandas-{PANDAS}-py{sys.version_info.minor}"
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    python, done = place / "bin" / "python", place / "done"
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
            wanted = [f"pyspark=={VERSION}", f"pandas=={PANDAS}"]
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
            done.touch()
    return python
