"""One service for all end-to-end tests that do not stop or break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running import RunningService, free_port, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    sources = folder / "sources"
    sources.mkdir()
    (sources / "fox.txt").write_text("the quick brown fox\njumps over the lazy dog\n")
    (sources / "bad.jsonl").write_text('{"a": 1}\nthis is no JSON\n')
    with running_service(folder / "data", sources, port=free_port()) as running:
        yield running
