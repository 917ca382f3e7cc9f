"""What the environment says about a measurement, and the folder of its data."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench.data import prepare


def scale() -> float:
    """Return the share of the full size of the data: ``BENCH_SCALE``."""
    return float(os.environ.get("BENCH_SCALE", "1"))


def runs() -> int:
    """Return how often each thing is measured: ``BENCH_RUNS``."""
    return max(1, int(os.environ.get("BENCH_RUNS", "3")))


def data_folder() -> Path:
    """Return the folder of the data, which is made below ``BENCH_DATA`` unless it is there."""
    root = os.environ.get("BENCH_DATA") or Path(tempfile.gettempdir()) / "fanfold-bench-data"
    return prepare(Path(root), scale=scale())
