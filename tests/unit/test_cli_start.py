"""Help appears at once, because what does the work is imported only when it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ["gql", "graphql", "httpx", "pyarrow", "pydantic", "redis", "rich", "strawberry", "uvicorn"]
SHOW = """
import json, sys
from app.cli import run
run(["--help"])
print(json.dumps(sorted(sys.modules)))
"""


def test_help_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    imported = json.loads(shown.splitlines()[-1])
    assert set(HEAVY).isdisjoint(imported)
