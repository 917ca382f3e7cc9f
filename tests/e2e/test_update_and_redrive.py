"""Jobs that are changed while they run, that end with a part missing, and that run again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.client import Api, pairs_of
from tests.support.running import RunningService, free_port, running_service
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

ACTION_PARTS = """
  __typename
  ... on JobActionSuccess { job { id run tags spec status { run state version } } }
  ... on UserError { code message path retryable }
  ... on ValidationError { issues { path message } }
  ... on InvalidStateError { state allowedActions }
"""
UPDATE = "mutation Update($input: UpdateJobInput!) { updateJob(input: $input) { %s } }"
REDRIVE = "mutation Redrive($input: RedriveJobInput!) { redriveJob(input: $input) { %s } }"
FAILURES = """
query Failures($id: ID!, $first: Int, $after: String) {
  job(id: $id) {
    failures(first: $first, after: $after) {
      totalCount
      edges { cursor node { location preview taskId error { code message taskId } } }
      pageInfo { hasNextPage hasPreviousPage endCursor }
    }
  }
}
"""
LISTINGS = """
query Listings($id: ID!) {
  job(id: $id) { result { exact manifest { url } listings { name byteSize sha256 url } } }
}
"""
UNKNOWN = "j-000000000000000000000000000000"
LINES = [f"line{n}" for n in range(20)]
ONE_EACH = {"maxItems": 1}
QUERY = "SELECT sum(CAST(replace(n, $unit, '') AS BIGINT)) AS total FROM input"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, outputs: Path) -> Iterator[RunningService]:
    """A service that may write to a folder."""
    folder = tmp_path_factory.mktemp("redrive")
    sources = folder / "sources"
    sources.mkdir()
    settings = {"FANFOLD_OUTPUT_ROOTS": str(outputs)}
    with running_service(folder / "data", sources, port=free_port(), settings=settings) as running:
        yield running


class Crowd:
    """Where the program ``crowd`` waits: a folder with a file for each item that is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def params(self) -> dict[str, str]:
        return {"folder": str(self._folder)}

    def begun(self) -> set[str]:
        return {path.stem for path in self._folder.glob("*.begun")}

    def let_go(self, *items: str) -> None:
        for item in items:
            (self._folder / f"{item}.go").touch()

    def let_all_go(self) -> None:
        self.let_go("all")


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    crowd = Crowd(tmp_path)
    yield crowd
    crowd.let_all_go()


def policy(**given: Any) -> dict[str, Any]:
    return {"maxAttempts": 1, "backoffMs": 0, **given}


def with_bad(*places: int) -> list[str]:
    return [f"bad{n}" if n in places else line for n, line in enumerate(LINES)]


def ones(lines: list[str]) -> dict[str, int]:
    return dict.fromkeys(lines, 1)


def rows_of(status: dict[str, Any]) -> dict[str, int]:
    """Return the rows of a job that has some, whether or not all."""
    return {row["key"]: row["value"] for row in status["result"]}


async def update(api: Api, job: str, **changes: Any) -> dict[str, Any]:
    answer = await api.ask(UPDATE % ACTION_PARTS, input={"id": job, **changes})
    found: dict[str, Any] = answer["updateJob"]
    return found


async def redrive(api: Api, job: str, **given: Any) -> dict[str, Any]:
    answer = await api.ask(REDRIVE % ACTION_PARTS, input={"id": job, **given})
    found: dict[str, Any] = answer["redriveJob"]
    return found


async def redriven(api: Api, job: str, **given: Any) -> dict[str, Any]:
    """Redrive what may be, and return the terminal status of that run."""
    answer = await redrive(api, job, **given)
    assert answer["__typename"] == "JobActionSuccess", answer
    return await api.end_of(job)


async def failures(api: Api, job: str, **page: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.ask(FAILURES, id=job, **page))["job"]["failures"]
    return found


async def reached(
    api: Api, job: str, wanted: Callable[[dict[str, Any]], bool], *, within_s: float = 15
) -> dict[str, Any]:
    """Return the first state of a job that is wanted."""
    last: dict[str, Any] = {}
    async with asyncio.timeout(within_s):
        async for state in api.follow(job):
            if wanted(last := state):
                return state
    raise AssertionError(f"{job} has ended without it: {last}")


# ------------------------------------------------------------------ concurrency, live


async def test_more_tasks_begin_when_the_limit_is_raised_and_none_is_stopped_when_it_is_lowered(
    api: Api, crowd: Crowd
) -> None:
    job = await api.submit("crowd", LINES, params=crowd.params, batching=ONE_EACH, maxConcurrency=2)
    await reached(api, job, lambda state: state["map"]["running"] == 2)

    raised = await update(api, job, maxConcurrency=6)
    await reached(api, job, lambda state: state["map"]["running"] == 6)
    lowered = await update(api, job, maxConcurrency=1)
    await eventually_async(lambda: len(crowd.begun()) == 6)
    crowd.let_go(*sorted(crowd.begun())[:5])
    state = await reached(api, job, lambda state: state["map"]["succeeded"] == 5)

    assert raised["job"]["spec"]["maxConcurrency"] == 6
    assert lowered["job"]["spec"]["maxConcurrency"] == 1
    assert state["map"]["running"] == 1
    assert len(crowd.begun()) == 6
    crowd.let_all_go()
    assert pairs_of(await api.end_of(job)) == ones(LINES)


async def test_no_more_tasks_run_at_once_than_may(api: Api) -> None:
    job = await api.submit("letters", LINES * 5, batching=ONE_EACH, maxConcurrency=3)

    states = await api.states(job)

    assert states[-1]["state"] == "SUCCEEDED"
    assert max(state["map"]["running"] for state in states) <= 3


async def test_versions_rise_with_every_change(api: Api, crowd: Crowd) -> None:
    job = await api.submit("crowd", ["a"], params=crowd.params)
    await reached(api, job, lambda state: state["map"]["running"] == 1)

    first = await update(api, job, toleratedFailureCount=3)
    second = await update(api, job, toleratedFailurePercentage=1.5)

    assert first["job"]["status"]["version"] < second["job"]["status"]["version"]
    spec = second["job"]["spec"]["failurePolicy"]
    assert (spec["toleratedFailureCount"], spec["toleratedFailurePercentage"]) == (3, 1.5)


async def test_tags_are_added_and_removed_and_jobs_found_by_them(api: Api, crowd: Crowd) -> None:
    job = await api.submit("crowd", ["a"], params=crowd.params, tags=["old", "kept"])

    answer = await update(api, job, addTags=["fresh"], removeTags=["old", "never there"])

    assert sorted(answer["job"]["tags"]) == ["fresh", "kept"]
    query = "query($t: String!) { jobs(filter: {tags: [$t]}) { edges { node { id } } } }"
    found = {
        tag: [edge["node"]["id"] for edge in (await api.ask(query, t=tag))["jobs"]["edges"]]
        for tag in ("fresh", "old")
    }
    assert found == {"fresh": [job], "old": []}


async def test_more_tags_than_a_job_may_have_are_refused(api: Api, crowd: Crowd) -> None:
    job = await api.submit("crowd", ["a"], params=crowd.params, tags=[f"t{n}" for n in range(50)])

    answer = await update(api, job, addTags=["one more"])

    assert answer["__typename"] == "ValidationError"
    assert answer["issues"][0]["path"] == ["input", "addTags"]


# ------------------------------------------------------------------ tolerance


@pytest.mark.parametrize(
    ("tolerance", "state"),
    [
        ({"toleratedFailureCount": 3}, "PARTIALLY_SUCCEEDED"),
        ({"toleratedFailureCount": 2}, "FAILED"),
        ({"toleratedFailurePercentage": 15}, "PARTIALLY_SUCCEEDED"),
        ({"toleratedFailurePercentage": 14.9}, "FAILED"),
        ({"toleratedFailureCount": 20, "toleratedFailurePercentage": 10}, "FAILED"),
        ({}, "FAILED"),
    ],
)
async def test_as_many_items_may_fail_as_are_tolerated_by_count_and_by_share(
    api: Api, tolerance: dict[str, float], state: str
) -> None:
    lines = with_bad(3, 8, 19)

    ended = await api.run(
        "picky", lines, batching=ONE_EACH, failurePolicy=policy(badItems="SKIP", **tolerance)
    )

    assert ended["state"] == state, ended["error"]
    if state == "FAILED":
        assert ended["error"]["code"] == "TOLERANCE_EXCEEDED"
        return
    assert rows_of(ended) == ones([line for line in lines if not line.startswith("bad")])
    items = ended["items"]
    assert (items["succeeded"], items["failed"], items["total"]) == (17, 3, 20)


async def test_too_many_failures_end_the_job_and_nothing_more_begins(api: Api) -> None:
    lines = ["bad"] * 3 + LINES * 10

    ended = await api.run(
        "picky",
        lines,
        batching=ONE_EACH,
        maxConcurrency=1,
        failurePolicy=policy(toleratedFailureCount=1),
    )

    assert (ended["state"], ended["error"]["code"]) == ("FAILED", "TOLERANCE_EXCEEDED")
    assert ended["map"]["running"] == 0
    assert ended["map"]["pending"] > 0


async def test_without_skipping_a_whole_batch_is_lost_with_its_bad_item(api: Api) -> None:
    lines = with_bad(7)

    ended = await api.run(
        "picky", lines, batching={"maxItems": 5}, failurePolicy=policy(toleratedFailureCount=5)
    )

    assert ended["state"] == "PARTIALLY_SUCCEEDED", ended["error"]
    assert rows_of(ended) == ones(LINES[:5] + LINES[10:])
    assert ended["items"]["failed"] == 5
    found = await failures(api, ended["id"])
    assert found["totalCount"] == 1
    assert found["edges"][0]["node"]["taskId"] == "map-1"


async def test_bad_items_are_set_aside_with_place_preview_and_reason(api: Api) -> None:
    lines = with_bad(3, 8)

    ended = await api.run(
        "picky",
        lines,
        batching={"maxItems": 10},
        failurePolicy=policy(badItems="SKIP", toleratedFailureCount=2),
    )

    assert ended["state"] == "PARTIALLY_SUCCEEDED", ended["error"]
    assert rows_of(ended) == ones([line for line in lines if not line.startswith("bad")])
    nodes = [edge["node"] for edge in (await failures(api, ended["id"]))["edges"]]
    assert {node["location"] for node in nodes} == {"inline[3]", "inline[8]"}
    assert all("bad" in node["preview"] for node in nodes)
    assert all("is not liked" in node["error"]["message"] for node in nodes)
    assert {(node["error"]["code"], node["taskId"]) for node in nodes} == {("USER_CODE", "map-0")}


async def test_bad_lines_of_a_file_are_told_with_file_and_byte(
    api: Api, service: RunningService
) -> None:
    lines = with_bad(6)
    (service.sources / "lines.txt").write_text("".join(f"{line}\n" for line in lines))

    ended = await api.run(
        "picky", "lines.txt", failurePolicy=policy(badItems="SKIP", toleratedFailurePercentage=5)
    )

    assert ended["state"] == "PARTIALLY_SUCCEEDED", ended["error"]
    assert rows_of(ended) == ones([line for line in lines if not line.startswith("bad")])
    [edge] = (await failures(api, ended["id"]))["edges"]
    offset = len("".join(f"{line}\n" for line in lines[:6]))
    assert edge["node"]["location"] == f"lines.txt, byte {offset}"


async def test_failures_come_in_pages(api: Api) -> None:
    ended = await api.run(
        "picky",
        ["bad"] * 7,
        batching=ONE_EACH,
        failurePolicy=policy(badItems="SKIP", toleratedFailureCount=7),
    )
    seen: list[str] = []
    after = None
    while True:
        page = await failures(api, ended["id"], first=3, after=after)
        seen += [edge["node"]["location"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert sorted(seen) == [f"inline[{n}]" for n in range(7)]
    assert page["totalCount"] == 7


async def test_a_tolerance_that_is_lowered_below_what_has_failed_ends_the_job(
    api: Api, crowd: Crowd
) -> None:
    cannot_be_a_file = "x" * 300
    job = await api.submit(
        "crowd",
        [cannot_be_a_file, "waits"],
        params=crowd.params,
        batching=ONE_EACH,
        failurePolicy=policy(toleratedFailureCount=5),
    )
    await reached(api, job, lambda state: state["items"]["failed"] == 1)

    await update(api, job, toleratedFailureCount=0)

    ended = await api.end_of(job)
    assert (ended["state"], ended["error"]["code"]) == ("FAILED", "TOLERANCE_EXCEEDED")


async def test_a_partial_result_says_that_it_is_not_exact_and_lists_its_batches(
    api: Api, http: httpx.AsyncClient
) -> None:
    ended = await api.run(
        "picky",
        with_bad(4),
        batching={"maxItems": 5},
        failurePolicy=policy(badItems="SKIP", toleratedFailureCount=1),
    )

    result = (await api.ask(LISTINGS, id=ended["id"]))["job"]["result"]
    manifest = (await http.get(result["manifest"]["url"])).json()
    listed = {each["name"]: (await http.get(each["url"])).json() for each in result["listings"]}

    assert (result["exact"], manifest["exact"]) == (False, False)
    assert {name: len(entries) for name, entries in listed.items()} == {
        "SUCCEEDED_0.json": 4,
        "FAILED_0.json": 1,
    }
    assert sum(entry["Items"] for entries in listed.values() for entry in entries) == 20
    assert listed["FAILED_0.json"][0]["Location"] == "inline[4]"
    assert [file["Entries"] for file in manifest["ResultFiles"]["SUCCEEDED"]] == [4]


async def test_listings_are_delivered_beside_the_result(api: Api, outputs: Path) -> None:
    ended = await api.run("picky", LINES, batching={"maxItems": 5}, output={"uri": str(outputs)})

    folder = outputs / ended["id"]
    manifest = json.loads((folder / "manifest.json").read_text())
    (succeeded,) = manifest["ResultFiles"]["SUCCEEDED"]
    entries = json.loads((outputs / succeeded["Key"]).read_text())
    assert manifest["DestinationBucket"] == str(outputs)
    assert {entry["Name"] for entry in entries} == {f"map-{n}" for n in range(4)}
    assert manifest["ResultFiles"]["FAILED"] == manifest["ResultFiles"]["PENDING"] == []


# ------------------------------------------------------------------ redrive


@pytest.mark.parametrize("tolerated", [0, 2])
async def test_a_redrive_with_corrected_params_gives_the_rows_of_a_clean_run(
    api: Api, tolerated: int
) -> None:
    lines = with_bad(3, 8)
    job = await api.submit(
        "picky",
        lines,
        batching={"maxItems": 4},
        failurePolicy=policy(badItems="SKIP", toleratedFailureCount=tolerated),
    )
    first = await api.end_of(job)

    second = await redriven(api, job, params={"refuses": "never"})

    assert first["state"] == ("PARTIALLY_SUCCEEDED" if tolerated else "FAILED")
    assert pairs_of(second) == ones(lines)
    assert (first["run"], second["run"]) == (1, 2)
    assert second["version"] > first["version"]
    assert second["items"]["failed"] == 0
    assert (await failures(api, job))["totalCount"] == 0
    found = await api.job(job)
    assert {counter["name"]: counter["value"] for counter in found["counters"]}["words"] == 20
    assert found["allowedActions"] == ["DELETE"]


async def test_a_redrive_runs_only_what_did_not_succeed(api: Api) -> None:
    lines = with_bad(12)
    job = await api.submit(
        "picky", lines, batching={"maxItems": 5}, failurePolicy=policy(toleratedFailureCount=5)
    )
    await api.end_of(job)
    before = {task["id"]: task for task in await api.tasks(job, "MAP")}

    ended = await redriven(api, job, params={"refuses": "never"})

    after = {task["id"]: task for task in await api.tasks(job, "MAP")}
    assert pairs_of(ended) == ones(lines)
    again = {task for task in after if after[task]["attempts"] > before[task]["attempts"]}
    assert again == {"map-2"}


async def test_a_redrive_that_fails_again_can_be_redriven_again(api: Api) -> None:
    lines = with_bad(3)
    job = await api.submit("picky", lines, batching=ONE_EACH, failurePolicy=policy())
    await api.end_of(job)

    second = await redriven(api, job)
    third = await redriven(api, job, params={"refuses": "never"})

    assert (second["state"], second["run"]) == ("FAILED", 2)
    assert (pairs_of(third), third["run"]) == (ones(lines), 3)


async def test_a_job_that_failed_in_reduce_keeps_its_map(api: Api) -> None:
    job = await api.submit("reduces_to_nan", ["bad"], failurePolicy=policy())
    first = await api.end_of(job)

    second = await redriven(api, job)

    assert first["error"]["taskId"].startswith("reduce-")
    assert (second["state"], second["run"]) == ("FAILED", 2)
    assert [task["attempts"] for task in await api.tasks(job, "MAP")] == [1]


async def test_a_query_is_redriven_with_corrected_params(api: Api) -> None:
    job = (
        await api.try_submit(
            sql=QUERY,
            params={"unit": "kg"},
            source={"inline": [{"n": "1 g"}, {"n": "2 g"}]},
            failurePolicy=policy(),
        )
    )["job"]["id"]
    first = await api.end_of(job)

    second = await redriven(api, job, params={"unit": " g"})

    assert first["state"] == "FAILED"
    assert (second["state"], second["result"]) == ("SUCCEEDED", [{"total": 3}])


async def test_a_cancelled_job_is_redriven_to_its_end(api: Api, crowd: Crowd) -> None:
    job = await api.submit("crowd", LINES, params=crowd.params, batching=ONE_EACH)
    await reached(api, job, lambda state: state["map"]["running"] > 0)
    await api.ask("mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=job)
    assert (await api.end_of(job))["state"] == "CANCELLED"
    crowd.let_all_go()

    ended = await redriven(api, job)

    assert (pairs_of(ended), ended["run"]) == (ones(LINES), 2)


async def test_the_same_key_begins_one_run_however_often_it_comes(api: Api) -> None:
    job = await api.submit("picky", with_bad(3), batching=ONE_EACH, failurePolicy=policy())
    await api.end_of(job)
    wish = {"params": {"refuses": "never"}, "idempotencyKey": "again"}

    answers = await asyncio.gather(*(redrive(api, job, **wish) for _ in range(4)))
    ended = await api.end_of(job)
    late = await redrive(api, job, **wish)

    assert {answer["__typename"] for answer in answers} == {"JobActionSuccess"}
    assert {answer["job"]["run"] for answer in answers} == {2}
    assert (ended["state"], ended["run"]) == ("SUCCEEDED", 2)
    assert late["__typename"] == "JobActionSuccess"
    assert late["job"]["status"] == {
        "run": 2,
        "state": "SUCCEEDED",
        "version": ended["version"],
    }


async def test_the_same_key_is_another_wish_for_another_job(api: Api) -> None:
    jobs = [await api.submit("picky", ["bad"], failurePolicy=policy(), name=name) for name in "ab"]
    for job in jobs:
        await api.end_of(job)

    ends = [
        await redriven(api, job, params={"refuses": "never"}, idempotencyKey="k") for job in jobs
    ]

    assert [end["state"] for end in ends] == ["SUCCEEDED", "SUCCEEDED"]


async def test_a_follower_sees_a_run_to_its_end(api: Api) -> None:
    job = await api.submit("picky", with_bad(3), batching=ONE_EACH, failurePolicy=policy())
    first = await api.end_of(job)
    await redrive(api, job, params={"refuses": "never"})

    states = await api.states(job, after_version=first["version"])

    assert {state["run"] for state in states} == {2}
    assert states[-1]["state"] == "SUCCEEDED"
    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    ratios = [state["ratio"] for state in states if state["ratio"] is not None]
    assert ratios == sorted(ratios)


async def test_the_result_of_a_partial_run_gives_way_to_that_of_the_next(
    api: Api, outputs: Path
) -> None:
    job = await api.submit(
        "picky",
        with_bad(3),
        batching=ONE_EACH,
        failurePolicy=policy(toleratedFailureCount=1),
        output={"uri": str(outputs)},
    )
    await api.end_of(job)
    manifest = outputs / job / "manifest.json"
    first = json.loads(manifest.read_text())

    await redriven(api, job, params={"refuses": "never"})
    second = json.loads(manifest.read_text())

    assert (first["exact"], first["rows"]) == (False, 19)
    assert (second["exact"], second["rows"]) == (True, 20)
    named = {file["name"] for file in second["files"]}
    named |= {each["Key"].split("/")[-1] for each in second["ResultFiles"]["SUCCEEDED"]}
    assert {path.name for path in (outputs / job).iterdir()} == {"manifest.json", *named}


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("act", [update, redrive])
@pytest.mark.parametrize("job", [UNKNOWN, "no id at all", ""])
async def test_a_job_that_nobody_has_is_not_found(api: Api, act: Any, job: str) -> None:
    answer = await act(api, job)

    assert (answer["__typename"], answer["path"]) == ("NotFoundError", ["input", "id"])


async def test_an_ended_job_is_not_updated_and_one_that_succeeded_not_redriven(api: Api) -> None:
    ended = await api.run("wordcount", ["a b"])

    for act in (update, redrive):
        answer = await act(api, ended["id"])
        assert answer["__typename"] == "InvalidStateError"
        assert (answer["state"], answer["allowedActions"]) == ("SUCCEEDED", ["DELETE"])
    assert await api.states(ended["id"]) == [ended]


async def test_a_job_that_runs_is_not_redriven(api: Api, crowd: Crowd) -> None:
    job = await api.submit("crowd", ["a"], params=crowd.params)
    await reached(api, job, lambda state: state["state"] == "RUNNING")

    answer = await redrive(api, job)

    assert (answer["__typename"], answer["state"]) == ("InvalidStateError", "RUNNING")
    assert answer["allowedActions"] == ["CANCEL", "UPDATE"]


async def test_wrong_params_change_nothing(api: Api) -> None:
    ended = await api.run("picky", ["bad"], failurePolicy=policy())

    answer = await redrive(api, ended["id"], params={"refuse": "x"})

    assert answer["__typename"] == "ValidationError"
    assert [issue["path"] for issue in answer["issues"]] == [["input", "params", "refuse"]]
    assert await api.states(ended["id"]) == [ended]


# ------------------------------------------------------------------ on the command line


def test_a_partial_job_exits_2_and_says_how_to_see_what_failed(service: RunningService) -> None:
    done = service.fanfold(
        *("submit", "picky", "-", "--wait", "--tolerate", "2", "--skip-bad-items"),
        *("--attempts", "1", "--max-concurrency", "2"),
        stdin="a b\nbad one\nc\n",
    )

    job = done.stdout.split()[0]
    assert done.returncode == 2, done.stderr
    assert "partially succeeded in " in done.stdout
    assert f"1 of 3 items failed: 'fanfold failures {job}" in done.stderr
    table = service.fanfold("failures", job).stdout
    assert "inline[1]" in table
    assert "'bad' is not liked" in table
    (failure,) = map(json.loads, service.fanfold("failures", job, "--json").stdout.splitlines())
    assert failure["location"] == "inline[1]"


def test_a_redrive_is_watched_to_its_end(service: RunningService) -> None:
    failed = service.fanfold(
        "submit", "picky", "-", "--wait", "--attempts", "1", stdin="a b\nbad b\n"
    )
    job = failed.stdout.split()[0]

    again = service.fanfold("redrive", job, "--param", "refuses=never", "--watch")

    assert (failed.returncode, again.returncode) == (1, 0), again.stderr
    assert again.stdout.splitlines()[-1].startswith("succeeded in ")
    rows = map(json.loads, service.fanfold("result", job).stdout.splitlines())
    assert {row["key"]: row["value"] for row in rows} == Counter(["a", "b", "bad", "b"])


def test_a_redrive_that_is_not_possible_exits_3(service: RunningService) -> None:
    for job in (UNKNOWN, "x"):
        done = service.fanfold("redrive", job)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"no job '{job}'" in done.stderr
        assert service.fanfold("failures", job).returncode == 3
