"""One service for all black-box tests of protocols that do not stop or break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running import RunningService, free_port, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("protocol")
    (folder / "sources").mkdir()
    with running_service(folder / "data", folder / "sources", port=free_port()) as running:
        yield running
