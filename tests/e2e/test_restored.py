"""A result outlives the loss of Redis: its job is found again through its manifest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.client import Api
from tests.support.leftovers import redis_url_of
from tests.support.running import RunningService, free_port, running_service

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("restored")
    with running_service(folder / "data", folder, port=free_port()) as running:
        yield running


def forget_everything(service: RunningService) -> None:
    with Redis.from_url(redis_url_of(service)) as redis:
        redis.flushall()


async def test_a_finished_job_is_found_again_when_redis_has_lost_everything(
    service: RunningService, api: Api
) -> None:
    job = await api.submit("wordcount", ["a b", "b"], waitUpToMs=20_000)
    before = await api.job(job)
    assert before["status"]["state"] == "SUCCEEDED"

    forget_everything(service)

    after = await api.job(job)
    for name in ("state", "result", "resultRows", "resultBytes", "bytesRead", "run"):
        assert after["status"][name] == before["status"][name]
    assert after["status"]["items"]["succeeded"] == 2
    assert after["allowedActions"] == ["DELETE"]


async def test_a_deleted_job_does_not_come_back(service: RunningService, api: Api) -> None:
    job = await api.submit("wordcount", ["a"], waitUpToMs=20_000)
    deleted = await api.ask("mutation($id: ID!) { deleteJob(id: $id) { __typename } }", id=job)
    assert deleted["deleteJob"]["__typename"] == "DeleteJobSuccess"

    forget_everything(service)

    assert await api.job(job) is None


async def test_a_job_without_a_result_is_gone_with_redis(api: Api) -> None:
    assert await api.job("j-" + "0" * 11 + "ab" * 10) is None
