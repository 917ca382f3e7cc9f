"""A service that has the programs of ``examples/programs`` and reads the data beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.running import RunningService, free_port, running_service

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    programs = ",".join(map(str, sorted((EXAMPLES / "programs").glob("*.py"))))
    with running_service(
        tmp_path_factory.mktemp("examples") / "data",
        EXAMPLES / "data",
        port=free_port(),
        workers=1,
        settings={"FANFOLD_PROGRAMS": programs},
    ) as running:
        yield running
