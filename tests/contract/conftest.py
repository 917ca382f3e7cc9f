"""One S3 for all suites that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.ministack import running_ministack


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 with the buckets ``blobs`` and ``results``."""
    with running_ministack(tmp_path_factory.mktemp("s3")) as stack:
        stack.create_bucket("blobs")
        stack.create_bucket("results")
        yield stack.endpoint
