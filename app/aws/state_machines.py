"""Writes the state machines that a deployment is given: ``python -m app.aws.state_machines``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from adapters.aws.step_functions_definition import express, standard

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "aws" / "state_machines"


def files() -> dict[Path, str]:
    """Return each file and what is in it."""
    return {
        FOLDER / "standard.asl.json": _text(standard()),
        FOLDER / "express.asl.json": _text(express()),
    }


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text)


def _text(machine: dict[str, Any]) -> str:
    return json.dumps(machine, indent=2) + "\n"


if __name__ == "__main__":
    main()
