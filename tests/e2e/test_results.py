"""Results that one can use: files, pages of rows, copies elsewhere; and what is left of a job."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from engine.signing import Grant, Signer
from tests.support.client import CANCEL, Api
from tests.support.killing import Stage, kill, worker_of, workers_of
from tests.support.leftovers import blobs_of, in_redis, pieces_in_redis, scratch_of
from tests.support.reports import report_of
from tests.support.running import RunningService, free_port, running_service
from tests.support.sql_jobs import run_sql
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

BY_K = "SELECT k, sum(v) AS total, count(*) AS n FROM input GROUP BY k ORDER BY k"
ROWS = [{"k": f"k{i % 7}", "v": i} for i in range(100)]
TOTALS = [
    {"k": f"k{k}", "total": sum(range(k, 100, 7)), "n": len(range(k, 100, 7))} for k in range(7)
]
TYPES = {
    "JSONL": "application/jsonl",
    "CSV": "text/csv; charset=utf-8",
    "PARQUET": "application/vnd.apache.parquet",
}
LISTING = "SUCCEEDED_0.json"
PAGE = """
query Page($id: ID!, $first: Int!, $after: String) {
  job(id: $id) {
    result { rows(first: $first, after: $after) {
      edges { cursor node } pageInfo { hasNextPage endCursor }
    } }
  }
}
"""
DELETE = """
mutation Delete($id: ID!) {
  deleteJob(id: $id) {
    __typename
    ... on DeleteJobSuccess { id }
    ... on UserError { code message }
    ... on InvalidStateError { state allowedActions }
  }
}
"""
TIMES = "query Times($id: ID!) { job(id: $id) { finishedAt expiresAt allowedActions } }"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, outputs: Path) -> Iterator[RunningService]:
    """A service of its own, whose workers may be killed and which may write to a folder."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "sources").mkdir()
    settings = {"FANFOLD_OUTPUT_ROOTS": str(outputs)}
    port = free_port()
    with running_service(
        folder / "data", folder / "sources", port=port, settings=settings
    ) as running:
        yield running


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    await eventually_async(lambda: len(workers_of(service)) == 2)
    async with Api(service.url) as client:
        yield client


def parsed(data: bytes, data_format: str) -> list[dict[str, Any]]:
    """Read a result file's rows; those of a CSV file are numbers where they look like it."""
    if data_format == "PARQUET":
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
        return rows
    if data_format == "CSV":
        read = csv.DictReader(io.StringIO(data.decode(), newline=""))
        return [{k: int(v) if v.isdigit() else v for k, v in row.items()} for row in read]
    return [json.loads(line) for line in data.splitlines()]


async def all_rows(api: Api, job: str, *, first: int) -> list[tuple[str, Any]]:
    """Return cursors and rows of every page."""
    found: list[tuple[str, Any]] = []
    after = None
    while True:
        page = (await api.ask(PAGE, id=job, first=first, after=after))["job"]["result"]["rows"]
        found += [(edge["cursor"], edge["node"]) for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("data_format", TYPES)
@pytest.mark.parametrize("reducers", [1, 3])
async def test_files_download_as_they_are_described(
    api: Api, http: httpx.AsyncClient, data_format: str, reducers: int
) -> None:
    query = BY_K.removesuffix(" ORDER BY k")
    status = await run_sql(
        api, query, {"inline": ROWS}, output={"format": data_format}, reducers=reducers
    )

    result = await api.result(status["id"])

    rows: list[dict[str, Any]] = []
    for file in result["files"]:
        answer = (await http.get(file["url"])).raise_for_status()
        head = (await http.head(file["url"])).raise_for_status()
        part = await http.get(file["url"], headers={"Range": "bytes=2-5"})
        assert len(answer.content) == file["byteSize"] == int(head.headers["Content-Length"])
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["Content-Type"] == TYPES[data_format]
        assert file["contentType"] == TYPES[data_format]
        assert (part.status_code, part.content) == (206, answer.content[2:6])
        rows += parsed(answer.content, data_format)
    assert sorted(rows, key=lambda row: row["k"]) == TOTALS
    assert result["rowCount"] == status["resultRows"] == 7
    assert result["byteSize"] == sum(file["byteSize"] for file in result["files"])


async def test_the_manifest_lists_every_file(api: Api, http: httpx.AsyncClient) -> None:
    items = [f"{number:03}" for number in range(30)]
    status = await api.run("lines", items, batching={"maxItems": 5})

    result = await api.result(status["id"])

    described = result["manifest"]
    data = (await http.get(described["url"])).raise_for_status().content
    assert (len(data), hashlib.sha256(data).hexdigest()) == (
        described["byteSize"],
        described["sha256"],
    )
    manifest = json.loads(data)
    assert manifest["rows"] == 30
    assert [(file["bytes"], file["sha256"]) for file in manifest["files"]] == [
        (file["byteSize"], file["sha256"]) for file in result["files"]
    ]
    assert len(result["files"]) == 6
    assert len({file["name"] for file in result["files"]}) == 6


async def test_forged_and_expired_addresses_are_refused(
    service: RunningService, api: Api, http: httpx.AsyncClient
) -> None:
    status = await api.run("wordcount", ["a b"])
    [file] = (await api.result(status["id"]))["files"]
    start, _, token = file["url"].rpartition("/")
    signer = Signer((service.data_dir / "signing.key").read_bytes())
    grant = signer.verify(token, method="GET", now_s=0)
    assert grant is not None

    def signed(method: str, expires_s: float, by: Signer = signer) -> str:
        again = Grant(method, grant.tenant, grant.name, int(expires_s))
        return f"{start}/{by.sign(again)}"

    later = time.time() + 60
    bad = [f"{start}/x", f"{file['url'][:-1]}", signed("GET", 1), signed("PUT", later)]
    bad.append(signed("GET", later, Signer(b"k" * 32)))

    assert (await http.get(signed("GET", later))).status_code == 200
    assert [(await http.get(url)).status_code for url in bad] == [403] * len(bad)
    expires = datetime.fromisoformat(file["urlExpiresAt"]).timestamp()
    assert grant.expires_s == expires
    assert 0 < expires - time.time() < 3600


# ------------------------------------------------------------------ pages


@pytest.mark.parametrize("first", [1, 3, 1000])
async def test_pages_are_the_same_in_every_format(api: Api, first: int) -> None:
    for data_format in TYPES:
        status = await run_sql(
            api, BY_K, {"inline": ROWS}, output={"format": data_format}, reducers=2
        )
        pages = await all_rows(api, status["id"], first=first)

        assert [row for _, row in pages] == TOTALS
        assert len({cursor for cursor, _ in pages}) == 7
        assert await all_rows(api, status["id"], first=first) == pages


async def test_every_cursor_leads_to_the_rest(api: Api) -> None:
    items = [f"{number}" for number in range(10)]
    for data_format in TYPES:
        output = {"format": data_format}
        status = await api.run("lines", items, batching={"maxItems": 3}, output=output)
        pages = await all_rows(api, status["id"], first=1000)

        for place, (cursor, _) in enumerate(pages):
            answer = await api.ask(PAGE, id=status["id"], first=2, after=cursor)
            found = [edge["node"] for edge in answer["job"]["result"]["rows"]["edges"]]
            assert found == [row for _, row in pages[place + 1 : place + 3]]
        assert [row["line"] for _, row in pages] == items


# ------------------------------------------------------------------ copies elsewhere


@pytest.mark.parametrize("data_format", TYPES)
async def test_a_result_is_written_to_an_output_root(
    api: Api, outputs: Path, data_format: str
) -> None:
    uri = str(outputs / f"sold-{data_format}" / "deep")
    output = {"format": data_format, "uri": uri}

    status = await run_sql(api, BY_K, {"inline": ROWS}, output=output)

    folder = Path(uri, status["id"])
    names = sorted(path.name for path in folder.iterdir() if path.name != LISTING)
    assert names == ["manifest.json", f"part-00000.{data_format.lower()}"]
    assert (folder / LISTING).is_file()
    manifest = json.loads((folder / names[0]).read_text())
    part = (folder / names[1]).read_bytes()
    assert [file["name"] for file in manifest["files"]] == names[1:]
    assert manifest["files"][0]["sha256"] == hashlib.sha256(part).hexdigest()
    assert parsed(part, data_format) == TOTALS
    assert (folder / names[0]).stat().st_mtime_ns >= (folder / names[1]).stat().st_mtime_ns
    assert [row for _, row in await all_rows(api, status["id"], first=100)] == TOTALS


async def test_a_program_s_result_is_written_to_a_relative_folder(api: Api, outputs: Path) -> None:
    status = await api.run(
        "lines", ["a", "b", "c"], batching={"maxItems": 1}, output={"uri": "relative"}
    )

    folder = outputs / "relative" / status["id"]
    assert sorted(path.name for path in folder.iterdir()) == [
        LISTING, "manifest.json", *(f"part-0000{i}.jsonl" for i in range(3)),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["outside", "dots", "link", "scheme", "prefix"])
async def test_a_place_outside_is_refused_at_submit(
    api: Api, outputs: Path, tmp_path: Path, kind: str
) -> None:
    link = outputs / "link"
    if kind == "link" and not link.is_symlink():
        link.symlink_to(tmp_path)
    uri = {
        "outside": str(tmp_path),
        "dots": f"{outputs}/a/../../b",
        "link": str(link / "deep"),
        "scheme": "ftp://host/folder",
        "prefix": f"{outputs}-beside",
    }[kind]

    answer = await api.try_submit(
        program="wordcount", source={"inline": ["a"]}, output={"uri": uri}
    )

    assert answer["__typename"] == "ValidationError", answer
    assert answer["issues"][0]["path"] == ["input", "output", "uri"]
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_becomes_a_link_is_not_followed(
    api: Api, outputs: Path, tmp_path: Path, stage: Stage
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    output = {"uri": str(outputs / "swapped")}
    job = await api.submit("held", ["hold"], params=stage.params("map"), output=output)
    await stage.begun()
    (outputs / "swapped").symlink_to(elsewhere)
    stage.let_go()

    status = await api.end_of(job)

    assert status["state"] == "FAILED"
    assert "link" in status["error"]["message"]
    assert list(elsewhere.iterdir()) == []


async def test_a_failing_job_writes_nothing_there(api: Api, outputs: Path) -> None:
    output = {"uri": str(outputs / "failing")}

    status = await api.run("raises_for_good", ["a", "bad"], output=output)

    assert status["state"] == "FAILED"
    assert not (outputs / "failing").exists()


# ------------------------------------------------------------------ erasing


async def test_a_job_expires_after_its_end_only(api: Api, stage: Stage) -> None:
    job = await api.submit("held", ["hold"], params=stage.params("map"), retentionSeconds=90)
    await stage.begun()
    before = (await api.ask(TIMES, id=job))["job"]
    stage.let_go()
    await api.end_of(job)

    after = (await api.ask(TIMES, id=job))["job"]

    assert before["expiresAt"] is None
    ended, expires = map(datetime.fromisoformat, (after["finishedAt"], after["expiresAt"]))
    assert (expires - ended).total_seconds() == 90


async def test_a_deleted_job_is_gone_with_its_files(
    service: RunningService, api: Api, http: httpx.AsyncClient
) -> None:
    status = await run_sql(api, BY_K, {"inline": ROWS}, idempotencyKey="gone")
    result = await api.result(status["id"])
    urls = [file["url"] for file in [*result["files"], result["manifest"]]]

    answer = (await api.ask(DELETE, id=status["id"]))["deleteJob"]
    again = (await api.ask(DELETE, id=status["id"]))["deleteJob"]

    assert answer == {"__typename": "DeleteJobSuccess", "id": status["id"]}
    assert again["code"] == "NOT_FOUND"
    assert (await api.ask(TIMES, id=status["id"]))["job"] is None
    assert {(await http.get(url)).status_code for url in urls} <= {404, 410}
    await eventually_async(lambda: not in_redis(service, status["id"]))
    assert blobs_of(service, status["id"]) == set()


async def test_a_running_job_is_not_deleted(api: Api, stage: Stage) -> None:
    job = await api.submit("held", ["hold"], params=stage.params("map"))
    await stage.begun()

    answer = (await api.ask(DELETE, id=job))["deleteJob"]
    stage.let_go()

    assert answer["__typename"] == "InvalidStateError"
    assert (answer["state"], answer["allowedActions"]) == ("RUNNING", ["CANCEL", "UPDATE"])
    assert (await api.end_of(job))["state"] == "SUCCEEDED"
    assert (await api.ask(TIMES, id=job))["job"]["allowedActions"] == ["DELETE"]


async def test_following_a_deleted_job_ends(api: Api) -> None:
    status = await api.run("wordcount", ["a"])
    await api.ask(DELETE, id=status["id"])

    async with asyncio.timeout(5):
        with pytest.raises(Exception, match="no job"):
            await api.states(status["id"])


@pytest.mark.parametrize("kind", ["program", "sql", "failing"])
async def test_nothing_of_an_expired_job_is_left(
    service: RunningService, api: Api, kind: str
) -> None:
    short: dict[str, Any] = {"retentionSeconds": 1, "batching": {"maxItems": 10}}
    if kind == "sql":
        job = (await run_sql(api, BY_K, {"inline": ROWS}, **short))["id"]
    elif kind == "program":
        job = (await api.run("lines", [str(row) for row in ROWS], **short))["id"]
    else:
        job = (await api.run("raises_for_good", ["a", "bad"], **short))["id"]
    assert in_redis(service, job)

    await eventually_async(lambda: not in_redis(service, job))

    assert blobs_of(service, job) == set()
    assert not (service.data_dir / "blobs" / "jobs" / job).exists()
    assert (await api.ask(TIMES, id=job))["job"] is None


# ------------------------------------------------------------------ temporary data


async def nothing_temporary(service: RunningService, job: str, *, kept: int) -> None:
    """Wait until only *kept* blobs of a job are left."""
    await eventually_async(lambda: not pieces_in_redis(service, job))
    await eventually_async(lambda: not scratch_of(service))
    await eventually_async(lambda: len(blobs_of(service, job)) == kept)


def wide(service: RunningService, name: str) -> str:
    """Write a file of which each map task shuffles more than travels in Redis."""
    path = service.sources / name
    path.write_text("".join(f"word{number:07} {'x' * 60}\n" for number in range(40_000)))
    return name


async def test_success_leaves_the_result_alone(service: RunningService, api: Api) -> None:
    source = wide(service, "success.txt")
    shape: dict[str, Any] = {"reducers": 2, "batching": {"maxBytes": 700_000}}

    counted = await api.run("wordcount", source, **shape)
    query = "SELECT line, count(*) AS n FROM input GROUP BY line"
    asked = await run_sql(api, query, {"files": {"uris": [source]}}, **shape)

    for status in (counted, asked):
        assert status["state"] == "SUCCEEDED"
        assert status["map"]["total"] > 2
        await nothing_temporary(
            service, status["id"], kept=await blobs_of_result(api, status["id"])
        )


async def blobs_of_result(api: Api, job: str) -> int:
    """Return how many blobs a job's result has."""
    result = await api.result(job)
    return len([result["manifest"], *result["files"], *result["listings"]])


def tops_of(service: RunningService, job: str) -> set[str]:
    """Return what a job's blobs lie in."""
    return {name.split("/")[0] for name in blobs_of(service, job)}


async def test_failure_leaves_what_a_redrive_needs_until_the_job_is_deleted(
    service: RunningService, api: Api
) -> None:
    source = wide(service, "failure.txt")
    with (service.sources / source).open("a") as file:
        file.write("bad\n")

    status = await api.run("raises_for_good", source, batching={"maxBytes": 700_000})

    job = status["id"]
    assert status["state"] == "FAILED"
    await eventually_async(lambda: not scratch_of(service))
    await eventually_async(lambda: tops_of(service, job) == {"shuffle", "runs"})

    await api.ask(DELETE, id=job)

    await eventually_async(lambda: not in_redis(service, job))
    assert blobs_of(service, job) == set()


async def held_at_the_end(service: RunningService, api: Api, stage: Stage) -> str:
    """Submit a job whose last batch waits, and return its id."""
    source = wide(service, "held.txt")
    with (service.sources / source).open("a") as file:
        file.write("hold\n")
    return await api.submit(
        "held", source, params=stage.params("map"), batching={"maxBytes": 700_000}
    )


async def test_cancelling_leaves_a_report_alone(
    service: RunningService, api: Api, stage: Stage
) -> None:
    job = await held_at_the_end(service, api, stage)
    await stage.begun()
    await eventually_async(lambda: blobs_of(service, job))

    await api.ask(CANCEL, id=job)

    assert (await api.end_of(job))["state"] == "CANCELLED"
    await nothing_temporary(service, job, kept=len(await report_of(api, job)))


async def test_a_worker_killed_in_the_middle_leaves_nothing(
    service: RunningService, api: Api, stage: Stage
) -> None:
    job = await held_at_the_end(service, api, stage)
    process = await stage.begun()
    scratch = service.data_dir / "scratch"
    killed = worker_of(process)
    [left] = scratch.glob(f"*-{killed}-process")
    (left / "over").touch()

    kill(killed)
    status = await api.end_of(job)

    assert status["state"] == "SUCCEEDED"
    await nothing_temporary(service, job, kept=await blobs_of_result(api, job))
    assert not left.exists()


EXACT = "SELECT sum(x) AS total, 123456789012345678.91::DECIMAL(38, 2) AS price FROM input"
DIGITS = '{"total":46116860184273879035,"price":123456789012345678.91}'
SHOWN = """{ job(id: "%s") { status { result } result { inline rows { edges { node } } } } }"""


@pytest.mark.parametrize("format", ["JSONL", "CSV", "PARQUET"])
async def test_numbers_have_all_their_digits_wherever_they_are_shown(
    service: RunningService, api: Api, format: str
) -> None:
    (service.sources / "large.jsonl").write_text('{"x": 9223372036854775807}\n' * 5)
    status = await run_sql(
        api, EXACT, {"files": {"uris": ["large.jsonl"]}}, output={"format": format}
    )

    job = status["id"]
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as http:
        shown = await http.post("/graphql", json={"query": SHOWN % job})
        rest = await http.get(f"/jobs/{job}")
        rows = await http.get(f"/jobs/{job}/result")

    assert shown.text.count(DIGITS) == 3, shown.text
    assert DIGITS in rest.text, rest.text
    assert DIGITS in rows.text, rows.text


async def test_a_file_is_saved_under_the_name_that_it_is_listed_by(
    service: RunningService, api: Api
) -> None:
    status = await run_sql(api, BY_K, ROWS)
    result = await api.result(status["id"])

    async with httpx.AsyncClient(trust_env=False) as http:
        answers = [await http.get(file["url"]) for file in (*result["files"], result["manifest"])]

    names = [file["name"] for file in (*result["files"], result["manifest"])]
    assert [answer.headers["Content-Disposition"] for answer in answers] == [
        f'attachment; filename="{status["id"]}-{name}"' for name in names
    ]
