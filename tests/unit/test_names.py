"""Our top-level names are short and common, so somebody else may claim one: then this fails."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
NAMES = [*PACKAGES, "bench", "tests"]

# Away from the checkout and from pytest's path: what the installed command sees.
RESOLVE = """
import importlib.util, json, sys
found = {}
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    found[name] = [] if spec is None else [*(spec.submodule_search_locations or [spec.origin])]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    shown = subprocess.run(
        [sys.executable, "-I", "-c", RESOLVE, *NAMES],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    answer: dict[str, list[str]] = json.loads(shown)
    return answer


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_claims_our_name(name: str) -> None:
    assert set(metadata.packages_distributions().get(name, [])) <= {"fanfold"}


@pytest.mark.parametrize("name", NAMES)
def test_the_name_resolves_to_the_checkout(name: str, places: dict[str, list[str]]) -> None:
    assert places[name] == [str(ROOT / name)]
