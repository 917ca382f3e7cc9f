"""Jobs through the REST face of a real service, beside GraphQL."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.client import STATUS, Api
from tests.support.running import RunningService

pytestmark = pytest.mark.anyio

POEM = ["the quick brown fox", "jumps over the lazy dog"]
WORDCOUNT = {"program": "wordcount", "source": {"inline": POEM}}
WAIT_MS = 20_000
FULL = STATUS.replace("ratio", "ratio etaSeconds") + (
    "query Full($id: ID!) { job(id: $id) { status { ...StatusParts } } }"
)
DELETE = "mutation Delete($id: ID!) { deleteJob(id: $id) { __typename } }"


@pytest.fixture
async def rest(service: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service's paths."""
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=40) as client:
        yield client


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A named pipe; a job of the program ``gate`` runs until somebody writes to it."""
    made = tmp_path / "gate"
    os.mkfifo(made)
    return made


async def submitted(rest: httpx.AsyncClient, **data: Any) -> dict[str, Any]:
    """Submit a job that must be accepted, and return its status."""
    answer = await rest.post("/jobs", json={**WORDCOUNT, **data})
    assert answer.status_code in (200, 202), answer.text
    status: dict[str, Any] = answer.json()
    return status


async def held(rest: httpx.AsyncClient, gate: Path) -> str:
    """Submit a job that waits at *gate*."""
    job: str = (await submitted(rest, program="gate", source={"inline": [str(gate)]}))["id"]
    return job


async def ended(rest: httpx.AsyncClient, **data: Any) -> dict[str, Any]:
    """Submit a job and return its terminal status."""
    return await submitted(rest, **data, waitUpToMs=WAIT_MS)


async def large(rest: httpx.AsyncClient, **data: Any) -> dict[str, Any]:
    """Run a job whose rows do not fit inline."""
    words = [f"word{i:06}" for i in range(4_000)]
    status = await ended(rest, source={"inline": words}, **data)
    assert (status["state"], status["result"]) == ("SUCCEEDED", None), status
    return status


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["detail"]
    return found


async def let_go(gate: Path) -> None:
    await asyncio.to_thread(gate.write_text, "go")


# ------------------------------------------------------------------ submitting


async def test_a_submitted_job_is_accepted_with_its_address(
    rest: httpx.AsyncClient, gate: Path
) -> None:
    answer = await rest.post("/jobs", json={"program": "gate", "source": {"inline": [str(gate)]}})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/jobs/{answer.json()['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["state"] in ("QUEUED", "RUNNING")
    await let_go(gate)


async def test_a_small_job_that_ends_in_time_is_answered_with_its_result(
    rest: httpx.AsyncClient,
) -> None:
    answer = await rest.post("/jobs", json={**WORDCOUNT, "waitUpToMs": WAIT_MS})

    assert answer.status_code == 200
    assert "Retry-After" not in answer.headers
    assert answer.json()["state"] == "SUCCEEDED"
    assert {"key": "the", "value": 2} in answer.json()["result"]


async def test_a_status_is_what_graphql_gives_for_a_full_selection(
    rest: httpx.AsyncClient, api: Api
) -> None:
    job = (await ended(rest))["id"]
    by_rest = (await rest.get(f"/jobs/{job}")).json()
    asked = await api.ask('{ __type(name: "JobStatus") { fields { name } } }')

    assert (await api.ask(FULL, id=job))["job"]["status"] == by_rest
    assert [field["name"] for field in asked["__type"]["fields"]] == list(by_rest)


async def test_a_failed_status_is_what_graphql_gives_as_well(
    rest: httpx.AsyncClient, api: Api
) -> None:
    policy = {"maxAttempts": 1}
    status = await ended(rest, program="raises", source={"inline": ["bad"]}, failurePolicy=policy)

    assert status["state"] == "FAILED"
    assert (await api.ask(FULL, id=status["id"]))["job"]["status"] == status


async def test_every_problem_is_told_at_once(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(
        "/jobs",
        json={
            "program": "nope",
            "source": {"inline": ["a", 7]},
            "reducers": "2",
            "maxConcurrency": 0,
            "tags": [""],
            "webhook": "ftp://example.com",
            "waitUpToMs": "soon",
            "colour": "red",
        },
    )

    found = assert_problem(answer, 422, "VALIDATION_FAILED")
    paths = {".".join(issue["path"]) for issue in found["issues"]}
    assert paths == {
        "input.program",
        "input.source.inline.1",
        "input.reducers",
        "input.maxConcurrency",
        "input.tags",
        "input.webhook",
        "input.waitUpToMs",
        "input.colour",
    }
    assert found["retryable"] is False


@pytest.mark.parametrize("wait", [-1, 10_000_000])
async def test_a_wait_that_is_too_long_is_refused(rest: httpx.AsyncClient, wait: int) -> None:
    answer = await rest.post("/jobs", json={**WORDCOUNT, "waitUpToMs": wait})

    found = assert_problem(answer, 422, "VALIDATION_FAILED")
    assert [issue["path"] for issue in found["issues"]] == [["input", "waitUpToMs"]]


async def test_a_source_that_cannot_be_read_is_told(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(
        "/jobs", json={**WORDCOUNT, "source": {"files": {"uris": ["/etc/passwd"]}}}
    )

    found = assert_problem(answer, 422, "SOURCE_UNREADABLE")
    assert found["path"] == ["input", "source", "files", "uris"]


@pytest.mark.parametrize("quoted", [True, False], ids=["in quotes", "bare"])
async def test_the_same_key_leads_to_the_same_job(
    rest: httpx.AsyncClient, request: pytest.FixtureRequest, quoted: bool
) -> None:
    key = request.node.name
    headers = {"Idempotency-Key": f'"{key}"' if quoted else key}

    first = await rest.post("/jobs", json=WORDCOUNT, headers=headers)
    again = await rest.post("/jobs", json={**WORDCOUNT, "idempotencyKey": key})

    assert first.json()["id"] == again.json()["id"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_the_same_key_with_another_input_is_a_conflict(rest: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "rest-conflict"}
    first = await rest.post("/jobs", json=WORDCOUNT, headers=headers)

    other = await rest.post("/jobs", json={**WORDCOUNT, "reducers": 3}, headers=headers)

    found = assert_problem(other, 409, "IDEMPOTENCY_CONFLICT")
    assert found["existingJobId"] == first.json()["id"]


async def test_two_different_keys_are_a_problem(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(
        "/jobs", json={**WORDCOUNT, "idempotencyKey": "one"}, headers={"Idempotency-Key": "two"}
    )

    found = assert_problem(answer, 422, "VALIDATION_FAILED")
    assert found["issues"][0]["path"] == ["input", "idempotencyKey"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b"[]", "application/json", 400, "BAD_REQUEST"),
        (b"", "application/json", 400, "BAD_REQUEST"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "application/json; charset=latin-1", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"[" * 100_000, "application/json", 400, "BAD_REQUEST"),
        (b" " * 1_048_577, "application/json", 413, "BODY_TOO_LARGE"),
    ],
    ids=["no JSON", "a list", "nothing", "text", "a form", "latin-1", "deep", "large"],
)
async def test_a_body_that_is_no_input_is_refused(
    rest: httpx.AsyncClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = await rest.post("/jobs", content=body, headers={"Content-Type": content_type})

    assert_problem(answer, status, code)


async def test_a_compressed_body_is_refused(rest: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    answer = await rest.post("/jobs", content=b"x", headers=headers)

    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_page_of_another_site_may_not_submit(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/jobs", json=WORDCOUNT, headers={"Origin": "https://evil.example"})

    assert_problem(answer, 403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/jobs", "POST"),
        ("POST", "/jobs/j-1", "DELETE, GET, HEAD"),
        ("PUT", "/jobs/j-1/result", "GET, HEAD"),
    ],
)
async def test_other_methods_are_told_which_there_are(
    rest: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await rest.request(method, path)

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == allowed


# ------------------------------------------------------------------ reading and waiting


@pytest.mark.parametrize("job", ["j-none", "a b", "j-" + "0" * 200, "%00"])
async def test_a_job_that_is_not_there_is_told_so(rest: httpx.AsyncClient, job: str) -> None:
    assert_problem(await rest.get(f"/jobs/{job}"), 404, "NOT_FOUND")
    assert_problem(await rest.get(f"/jobs/{job}/result"), 404, "NOT_FOUND")
    assert_problem(await rest.delete(f"/jobs/{job}"), 404, "NOT_FOUND")


async def test_a_long_poll_is_answered_when_the_job_ends(
    rest: httpx.AsyncClient, gate: Path
) -> None:
    job = await held(rest, gate)
    running = await rest.get(f"/jobs/{job}")
    assert running.status_code == 202
    assert int(running.headers["Retry-After"]) >= 1

    poll = asyncio.create_task(rest.get(f"/jobs/{job}", params={"waitMs": WAIT_MS}))
    await let_go(gate)
    answer = await poll

    assert answer.status_code == 200
    assert answer.json()["state"] == "SUCCEEDED"
    assert answer.json()["result"] == [{"said": "go"}]


async def test_a_long_poll_that_sees_no_end_gives_the_present_state(
    rest: httpx.AsyncClient, gate: Path
) -> None:
    job = await held(rest, gate)

    answer = await rest.get(f"/jobs/{job}", params={"waitMs": 50})

    assert answer.status_code == 202
    await let_go(gate)


async def test_the_etag_is_the_version(rest: httpx.AsyncClient) -> None:
    status = await ended(rest)
    tag = f'"{status["version"]}"'

    answer = await rest.get(f"/jobs/{status['id']}")
    same = await rest.get(f"/jobs/{status['id']}", headers={"If-None-Match": f'"0", W/{tag}'})
    other = await rest.get(f"/jobs/{status['id']}", headers={"If-None-Match": '"1"'})
    of_any = await rest.get(f"/jobs/{status['id']}", headers={"If-None-Match": "*"})
    of_none = await rest.get("/jobs/j-none", headers={"If-None-Match": "*"})

    assert answer.headers["ETag"] == tag
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert other.status_code == 200
    assert (of_any.status_code, of_none.status_code) == (304, 404)


async def test_versions_can_be_followed_by_long_polls(rest: httpx.AsyncClient, gate: Path) -> None:
    job = await held(rest, gate)
    answer = await rest.get(f"/jobs/{job}")
    versions = [answer.json()["version"]]
    poll = asyncio.create_task(let_go(gate))

    while answer.status_code != 200:
        answer = await rest.get(
            f"/jobs/{job}",
            params={"waitMs": WAIT_MS},
            headers={"If-None-Match": answer.headers["ETag"]},
        )
        assert answer.status_code in (200, 202)
        versions.append(answer.json()["version"])
    await poll

    assert versions == sorted(set(versions))
    assert answer.json()["state"] == "SUCCEEDED"


async def test_a_long_poll_without_news_is_answered_with_not_modified(
    rest: httpx.AsyncClient, gate: Path
) -> None:
    job = await held(rest, gate)
    answer = await rest.get(f"/jobs/{job}")
    while answer.json()["map"]["running"] == 0:
        answer = await rest.get(
            f"/jobs/{job}",
            params={"waitMs": WAIT_MS},
            headers={"If-None-Match": answer.headers["ETag"]},
        )

    unchanged = await rest.get(
        f"/jobs/{job}", params={"waitMs": 100}, headers={"If-None-Match": answer.headers["ETag"]}
    )

    assert unchanged.status_code == 304
    await let_go(gate)


@pytest.mark.parametrize("wait", ["-1", "soon", "1e3", "9" * 40, "99999999", "٣"])
async def test_a_wait_that_is_none_is_refused(rest: httpx.AsyncClient, wait: str) -> None:
    job = (await ended(rest))["id"]

    found = assert_problem(
        await rest.get(f"/jobs/{job}", params={"waitMs": wait}), 422, "VALIDATION_FAILED"
    )
    assert found["issues"][0]["path"] == ["waitMs"]


async def test_head_tells_what_get_would(rest: httpx.AsyncClient) -> None:
    status = await ended(rest)

    answer = await rest.head(f"/jobs/{status['id']}")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["ETag"] == f'"{status["version"]}"'


# ------------------------------------------------------------------ cancelling


async def test_a_job_that_runs_is_cancelled(rest: httpx.AsyncClient) -> None:
    job = (await submitted(rest, program="endless", source={"inline": ["x"]}))["id"]

    answer = await rest.delete(f"/jobs/{job}", params={"reason": "enough"})
    after = await rest.get(f"/jobs/{job}", params={"waitMs": WAIT_MS})

    assert answer.status_code in (200, 202)
    assert answer.json()["state"] in ("CANCELLING", "CANCELLED")
    assert (after.status_code, after.json()["state"]) == (200, "CANCELLED")
    assert after.json()["message"] == "enough"


async def test_a_job_that_has_ended_stays_as_it_is(rest: httpx.AsyncClient) -> None:
    status = await ended(rest)

    answer = await rest.delete(f"/jobs/{status['id']}")

    assert answer.status_code == 200
    assert answer.json() == status


# ------------------------------------------------------------------ results


async def test_few_rows_are_given_as_they_are(rest: httpx.AsyncClient) -> None:
    status = await ended(rest)

    answer = await rest.get(f"/jobs/{status['id']}/result")

    assert answer.status_code == 200
    assert answer.json() == status["result"]


async def test_a_result_in_one_file_is_pointed_to(rest: httpx.AsyncClient) -> None:
    status = await large(rest, reducers=1)

    answer = await rest.get(f"/jobs/{status['id']}/result")
    found = await rest.get(answer.headers["Location"])

    assert answer.status_code == 303
    rows = [json.loads(line) for line in found.text.splitlines()]
    assert len(rows) == status["resultRows"] == 4_000


async def test_a_result_in_several_files_is_pointed_to_as_a_list(rest: httpx.AsyncClient) -> None:
    status = await large(rest, reducers=3)

    answer = await rest.get(f"/jobs/{status['id']}/result")
    listed = (await rest.get(answer.headers["Location"])).json()

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/jobs/{status['id']}/result/files"
    assert (listed["rowCount"], len(listed["files"])) == (4_000, 3)
    contents = [(await rest.get(file["url"])).content for file in listed["files"]]
    for file, content in zip(listed["files"], contents, strict=True):
        assert file["byteSize"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert sum(content.count(b"\n") for content in contents) == 4_000


async def test_the_list_of_files_is_what_graphql_gives(rest: httpx.AsyncClient, api: Api) -> None:
    job = (await ended(rest))["id"]
    by_rest = (await rest.get(f"/jobs/{job}/result/files")).json()
    by_graphql = await api.result(job)

    for name in ("files", "listings"):
        assert len(by_rest[name]) == len(by_graphql[name]) > 0
        for mine, other in zip(by_rest[name], by_graphql[name], strict=True):
            assert mine.keys() == other.keys()
            assert [mine[key] for key in ("name", "sha256")] == [
                other[key] for key in ("name", "sha256")
            ]
    assert by_rest["manifest"]["sha256"] == by_graphql["manifest"]["sha256"]
    assert (await rest.get(by_rest["manifest"]["url"])).status_code == 200


async def test_a_result_may_be_waited_for(rest: httpx.AsyncClient, gate: Path) -> None:
    job = await held(rest, gate)
    early = await rest.get(f"/jobs/{job}/result")
    assert early.status_code == 202
    assert int(early.headers["Retry-After"]) >= 1
    assert early.json()["id"] == job

    poll = asyncio.create_task(rest.get(f"/jobs/{job}/result", params={"waitMs": WAIT_MS}))
    await let_go(gate)

    assert (await poll).json() == [{"said": "go"}]


async def test_a_job_that_failed_has_no_result(rest: httpx.AsyncClient) -> None:
    policy = {"maxAttempts": 1}
    status = await ended(rest, program="raises", source={"inline": ["bad"]}, failurePolicy=policy)

    found = assert_problem(await rest.get(f"/jobs/{status['id']}/result"), 409, "INVALID_STATE")
    assert found["state"] == "FAILED"


async def test_an_erased_result_is_gone(rest: httpx.AsyncClient, api: Api) -> None:
    job = (await ended(rest))["id"]
    assert (await api.ask(DELETE, id=job))["deleteJob"]["__typename"] == "DeleteJobSuccess"

    assert_problem(await rest.get(f"/jobs/{job}/result"), 410, "GONE")
    assert_problem(await rest.get(f"/jobs/{job}"), 404, "NOT_FOUND")


# ------------------------------------------------------------------ the description


async def test_the_description_refers_to_nothing_that_is_missing(
    rest: httpx.AsyncClient, api: Api
) -> None:
    document = (await rest.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            mine = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return mine.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert document["openapi"] == "3.1.0"
    assert references(document) <= {f"#/components/schemas/{name}" for name in schemas}
    fields = await api.ask('{ __type(name: "SubmitJobInput") { inputFields { name } } }')
    names = [field["name"] for field in fields["__type"]["inputFields"]]
    assert list(schemas["SubmitJobInput"]["properties"]) == names
    assert schemas["SubmitJobInput"]["required"] == ["source"]


async def test_every_answer_that_is_described_is_given(rest: httpx.AsyncClient) -> None:
    document = (await rest.get("/openapi.json")).json()
    described = document["components"]["schemas"]["JobStatus"]["properties"]

    assert list(await ended(rest)) == list(described)
