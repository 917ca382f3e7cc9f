"""Operating a whole service: its figures, its log lines, its traces."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families as parsed
from redis import Redis

from tests.support.client import SUBMIT, Api
from tests.support.own_redis import own_redis_in
from tests.support.receiver import Receiver, receiving
from tests.support.roles import running_role
from tests.support.running import (
    RunningService,
    fanfold,
    free_port,
    running_service,
)
from tests.support.waiting import eventually, eventually_async

pytestmark = pytest.mark.anyio

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Figures:
    """What Prometheus would read."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in parsed(text) for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @property
    def processes(self) -> set[str]:
        """The roles and ids of all processes that told theirs."""
        found = {sample.labels.get("process", "") for sample in self._samples}
        return found - {""}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    return folder


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def figures(http: httpx.AsyncClient, url: str) -> Figures:
    answer = await http.get(f"{url}/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return Figures(answer.text)


def log_of(service: RunningService) -> str:
    return service.log


async def test_a_job_is_seen_in_the_figures_of_all_who_worked_on_it(
    service: RunningService, api: Api, http: httpx.AsyncClient
) -> None:
    before = await figures(http, service.url)

    await api.run("wordcount", ["a b", "b c"])
    after = await figures(http, service.url)

    def gained(name: str, **labels: str) -> float:
        return after.sum(name, **labels) - before.sum(name, **labels)

    for kind in ("map", "reduce", "finish"):
        labels = {"kind": kind, "outcome": "succeeded"}
        assert gained("fanfold_task_duration_seconds_count", **labels) == 1
    assert gained("fanfold_ledger_duration_seconds_count", step="commit") == 3
    assert gained("fanfold_http_request_duration_seconds_count", route="/graphql") >= 1
    assert gained("fanfold_states_sent_total") >= 1
    assert after.sum("fanfold_redis_up") == 1
    assert after.sum("fanfold_workers") == 2
    assert after.sum("fanfold_jobs_kept") >= 1
    assert after.sum("fanfold_redis_round_trip_seconds_count") >= 3
    assert {name.partition("-")[0] for name in after.processes} == {"api", "worker"}


async def test_followers_are_counted_while_they_follow(
    service: RunningService, api: Api, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    job = service.submit_gate(tmp_path / "gate")

    async with aclosing(api.follow(job)) as states:
        while (await anext(states))["state"] != "RUNNING":
            pass
        during = await figures(http, service.url)
        assert during.sum("fanfold_websockets") >= 1
        assert during.sum("fanfold_subscriptions") >= 1
        assert during.sum("fanfold_jobs", state="running") >= 1
        assert during.sum("fanfold_leases") >= 1
        (tmp_path / "gate").write_text("go on")
        async for _ in states:
            pass

    after = await figures(http, service.url)
    assert after.sum("fanfold_doorbell_lag_seconds_count") >= 1


def test_whichever_process_is_asked_tells_of_all(tmp_path: Path, sources: Path) -> None:
    settings = {"FANFOLD_API_PROCESSES": "2", "FANFOLD_METRICS_PORT": str(free_port())}
    with running_service(
        tmp_path / "data", sources, port=free_port(), workers=1, settings=settings
    ) as service:
        port = f"http://127.0.0.1:{settings['FANFOLD_METRICS_PORT']}"

        def roles_at(url: str) -> list[str]:
            answer = httpx.get(f"{url}/metrics", trust_env=False)  # may reach another process
            return sorted(name.partition("-")[0] for name in Figures(answer.text).processes)

        everybody = ["api", "api", "worker"]
        eventually(lambda: roles_at(port) == everybody, within_s=30)
        for url in (service.url, port) * 3:
            assert roles_at(url) == everybody


async def test_with_authentication_figures_are_shown_on_their_port_alone(
    tmp_path: Path, sources: Path, http: httpx.AsyncClient
) -> None:
    metrics_port = free_port()
    settings = {"FANFOLD_AUTH": "keys", "FANFOLD_METRICS_PORT": str(metrics_port)}
    with running_service(
        tmp_path / "data", sources, port=free_port(), workers=1, settings=settings
    ) as service:
        key = fanfold(
            *("key", "create", "--tenant", "acme", "--scope", "admin"),
            environ={"FANFOLD_DATA_DIR": str(service.data_dir)},
        ).stdout.strip()

        for headers in ({}, {"Authorization": f"Bearer {key}"}):
            answer = await http.get(f"{service.url}/metrics", headers=headers)
            assert answer.status_code == 403
            assert "fanfold_" not in answer.text
        shown = await figures(http, f"http://127.0.0.1:{metrics_port}")
        assert shown.sum("fanfold_redis_up") == 1


async def test_a_worker_of_a_cluster_has_a_port_of_its_own(
    redis_server: str, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    port = free_port()
    settings = {"FANFOLD_REDIS_URL": redis_server, "FANFOLD_METRICS_PORT": str(port)}
    with running_role("worker", tmp_path / "data", settings=settings) as worker:
        await eventually_async(lambda: is_open(port), within_s=30)
        shown = await figures(http, f"http://127.0.0.1:{port}")
        second = fanfold(
            "worker", environ=settings | {"FANFOLD_DATA_DIR": str(tmp_path / "second")}
        )

    assert shown.processes == {f"worker-{worker.pid}"}
    assert second.returncode == 2
    assert f"FANFOLD_METRICS_PORT: cannot listen on 127.0.0.1:{port}" in second.stderr


async def test_log_lines_tell_which_request_and_which_attempt(
    tmp_path: Path, sources: Path, http: httpx.AsyncClient
) -> None:
    settings = {"FANFOLD_LOG": "json", "FANFOLD_LOG_LEVEL": "debug"}
    with running_service(
        tmp_path / "data", sources, port=free_port(), workers=1, settings=settings
    ) as service:
        answer = await submit(
            http,
            service.url,
            {"X-Request-Id": "from-the-proxy"},
            program="raises_for_good",
            source={"inline": ["bad"]},
        )
        job = answer.json()["data"]["submitJob"]["job"]["id"]
        assert answer.headers["x-request-id"] == "from-the-proxy"

        async with Api(service.url) as api:
            await api.end_of(job)

        lines = [json.loads(line) for line in log_of(service).splitlines()]
    [submitted] = [line for line in lines if line.get("request") == "from-the-proxy"]
    assert job in submitted["message"]
    failed = [line for line in lines if line.get("job") == job]
    assert {"task": "map-0", "attempt": 1}.items() <= failed[0].items()
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)


async def test_no_secret_is_logged(
    tmp_path: Path, sources: Path, http: httpx.AsyncClient, collector: Receiver
) -> None:
    password, path = "canary-of-redis", "canary-of-a-hook"
    token = "fan_canary-of-a-caller-0123456789"
    with own_redis_in(tmp_path) as redis:
        redis.start()
        with Redis.from_url(redis.url) as operator:
            operator.config_set("requirepass", password)
        settings = {
            "FANFOLD_REDIS_URL": f"{redis.url}?password={password}",
            "FANFOLD_AUTH": "keys",
            "FANFOLD_LOG_LEVEL": "DEBUG",
            "FANFOLD_WEBHOOK_HOSTS": f"127.0.0.1:{collector.port}",
        }
        with running_service(
            tmp_path / "data", sources, port=free_port(), workers=1, settings=settings
        ) as service:
            key = fanfold("key", "create", "--tenant", "acme", environ=settings).stdout.strip()
            assert key.startswith("fan_")
            for shown in (token, key):
                answer = await submit(
                    http,
                    service.url,
                    {"Authorization": f"Bearer {shown}"},
                    program="raises_for_good",
                    source={"inline": ["bad"]},
                    webhook=collector.url(f"/{path}"),
                )
            assert answer.json()["data"]["submitJob"]["__typename"] == "SubmitJobSuccess"
            [hook] = await collector.wait_for(1)
            redis.kill()  # whoever misses it says so, with its address or not
            eventually(lambda: "waiting for Redis" in log_of(service), within_s=30)
            log = log_of(service)

    signature = next(value for name, value in hook.headers.items() if "signature" in name)
    for secret in (password, token, key, key.rpartition("_")[2], signature, path):
        assert secret not in log


async def test_a_trace_leads_from_the_caller_through_every_task_to_the_push(
    tmp_path: Path, sources: Path, http: httpx.AsyncClient, collector: Receiver
) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with running_service(
        tmp_path / "data", sources, port=free_port(), workers=1, settings=settings
    ) as service:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        answer = await submit(
            http,
            service.url,
            {"traceparent": CALLER},
            program="gate",
            source={"inline": [str(gate)]},
        )
        job = answer.json()["data"]["submitJob"]["job"]["id"]
        async with Api(service.url) as api, aclosing(api.follow(job)) as states:
            await anext(states)
            gate.write_text("go on")
            async for _ in states:
                pass
        wanted = {"HTTP POST", "mutation", "submitJob", "map", "finish", "push"}
        await eventually_async(
            lambda: wanted <= {span.name for span in traced(collector)}, within_s=30
        )

    spans = traced(collector)
    by_id = {span.span_id: span for span in spans}
    [post] = [span for span in spans if span.name == "HTTP POST"]
    assert post.parent_span_id.hex() == CALLER.split("-")[2]
    [submitted] = [span for span in spans if span.name == "submitJob"]
    assert by_id[by_id[submitted.parent_span_id].parent_span_id] is post
    for name in ("map", "finish", "push"):
        found = [span for span in spans if span.name == name]
        assert {span.parent_span_id for span in found} == {submitted.span_id}
        assert attributes_of(found[0])["fanfold.job"] == job
    assert all(span.status.code != Status.STATUS_CODE_ERROR for span in spans)


async def submit(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], **job: Any
) -> httpx.Response:
    return await http.post(
        f"{url}/graphql",
        json={"query": SUBMIT, "variables": {"input": job}},
        headers=headers,
    )


def traced(collector: Receiver) -> list[Span]:
    """Return the spans of the caller's trace."""
    found: list[Span] = []
    for request in list(collector.received):
        assert request.path == "/v1/traces"
        batch = ExportTraceServiceRequest.FromString(request.body)
        for resource in batch.resource_spans:
            for scope in resource.scope_spans:
                found += scope.spans
    return [span for span in found if span.trace_id.hex() == CALLER.split("-")[1]]


def attributes_of(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
