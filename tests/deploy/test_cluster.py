"""The roles of a cluster with the settings that Kubernetes gives them, as processes here.

Each has a data folder of its own; what they share is a Redis, a bucket and the Secret.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.deploy.manifests import Document, cluster_settings, pods
from tests.support.ministack import ENVIRON
from tests.support.own_redis import OwnRedis, own_redis_in
from tests.support.roles import running_api, running_role
from tests.support.running import RunningService, fanfold, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

TEXT: Final = ["to be or not", "to be"]
SUBMIT: Final = """mutation($input: SubmitJobInput!) { submitJob(input: $input) {
  ... on SubmitJobSuccess { job { id status { state resultRows } } }
  ... on UserError { code message }
} }"""
HAND_ON: Final = """mutation($jobs: [ID!]!) { createViewerToken(input: { jobIds: $jobs }) {
  ... on CreateViewerTokenSuccess { token }
} }"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Two API pods and a worker, as it were.

    Attributes:
        apis: Each a process with a data folder of its own.
        worker: The process.
        worker_metrics: Its address for Prometheus.
        key: An API key.
        redis: Which all of them work with.
    """

    apis: tuple[RunningService, RunningService]
    worker: subprocess.Popen[str]
    worker_metrics: str
    key: str
    redis: OwnRedis


@pytest.fixture
def cluster(tmp_path: Path, s3_endpoint: str) -> Iterator[Cluster]:
    with ExitStack() as stack:
        redis = stack.enter_context(own_redis_in(tmp_path))
        redis.start()
        here = {
            "FANFOLD_HOST": "127.0.0.1",
            "FANFOLD_METRICS_HOST": "127.0.0.1",
            "FANFOLD_RESULT_URI": "s3://blobs/cluster",
            "FANFOLD_S3_ENDPOINT": s3_endpoint,
            "FANFOLD_REDIS_URL": redis.url,
            "FANFOLD_SIGNING_KEY": "k" * 44,
            **ENVIRON,
        }
        given = cluster_settings() | here
        made = fanfold(
            "key", "create", "--tenant", "acme",
            environ=given | {"FANFOLD_DATA_DIR": str(tmp_path / "keys")},
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        ports = [free_port() for _ in range(3)]
        settings = [given | {"FANFOLD_METRICS_PORT": str(port)} for port in ports]
        apis = [
            stack.enter_context(
                running_api(tmp_path / f"api-{index}", port=free_port(), settings=settings[index])
            )
            for index in range(2)
        ]
        worker = stack.enter_context(
            running_role("worker", tmp_path / "worker", settings=settings[2])
        )
        yield Cluster(
            (apis[0], apis[1]), worker, f"http://127.0.0.1:{ports[2]}", made.stdout.strip(), redis
        )


def probe(workload: str, kind: str) -> Document:
    [container] = pods()[workload]["spec"]["containers"]
    get: Document = container[kind]["httpGet"]
    return get


def status_of(address: str, get: Document) -> int:
    """Ask as a kubelet does: by the pod's address, unless the probe names another."""
    headers = {"Host": "10.1.2.3:8000"} | {
        header["name"]: header["value"] for header in get.get("httpHeaders", ())
    }
    try:
        return httpx.get(address + get["path"], headers=headers, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def ask(service: RunningService, token: str, document: str, **variables: Any) -> Any:
    answer = httpx.post(
        f"{service.url}/graphql",
        json={"query": document, "variables": variables},
        headers={"Authorization": f"Bearer {token}"},
        timeout=40,
        trust_env=False,
    )
    return answer.json()["data"]


def test_probes_find_every_role_well(cluster: Cluster) -> None:
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert status_of(cluster.apis[0].url, probe("fanfold-api", kind)) == 200

    gets = [probe("fanfold-worker", kind) for kind in ("startupProbe", "livenessProbe")]
    worker = cluster.worker_metrics
    eventually(lambda: {status_of(worker, get) for get in gets} == {200}, within_s=30)


def test_without_redis_no_requests_are_sent_and_nobody_is_restarted(cluster: Cluster) -> None:
    api, worker = cluster.apis[0].url, cluster.worker_metrics
    eventually(
        lambda: status_of(worker, probe("fanfold-worker", "livenessProbe")) == 200, within_s=30
    )

    cluster.redis.kill()

    eventually(lambda: status_of(api, probe("fanfold-api", "readinessProbe")) == 503)
    assert status_of(api, probe("fanfold-api", "livenessProbe")) == 200
    assert status_of(worker, probe("fanfold-worker", "livenessProbe")) == 200


def test_what_one_pod_signs_another_takes(cluster: Cluster) -> None:
    here, there = cluster.apis
    job = {"program": "wordcount", "source": {"inline": TEXT}, "waitUpToMs": 20_000}

    submitted = ask(here, cluster.key, SUBMIT, input=job)["submitJob"]["job"]
    token = ask(here, cluster.key, HAND_ON, jobs=[submitted["id"]])["createViewerToken"]["token"]
    seen = ask(there, token, "query($id: ID!) { job(id: $id) { id } }", id=submitted["id"])

    assert submitted["status"] == {"state": "SUCCEEDED", "resultRows": 4}
    assert seen == {"job": {"id": submitted["id"]}}


def test_everybody_ends_within_the_time_that_there_is(cluster: Cluster) -> None:
    worker_s, api_s = (
        pods()[workload]["spec"]["terminationGracePeriodSeconds"]
        for workload in ("fanfold-worker", "fanfold-api")
    )
    metrics = probe("fanfold-worker", "livenessProbe")
    eventually(lambda: status_of(cluster.worker_metrics, metrics) == 200, within_s=30)

    cluster.worker.send_signal(signal.SIGTERM)
    cluster.apis[0].process.send_signal(signal.SIGTERM)

    assert cluster.worker.wait(worker_s) == 0
    assert cluster.apis[0].process.wait(api_s) == 0
