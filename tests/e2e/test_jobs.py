"""Jobs from submit to result, through a real service and gql."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from gql import gql

from tests.support.client import CANCEL, FOLLOW, SUBMIT, Api, pairs_of
from tests.support.running import RunningService

pytestmark = pytest.mark.anyio

POEM = ["the quick brown fox", "jumps over the lazy dog", "", "the end"]
SALES = 'city,amount\nOslo,10\nRome,5\n"Rome, Georgia",2\nOslo,1\nRome,8\n'
SOLD = [
    {"city": "Rome", "sales": 2, "amount": 13},
    {"city": "Oslo", "sales": 2, "amount": 11},
    {"city": "Rome, Georgia", "sales": 1, "amount": 2},
]


@pytest.fixture
def folder(service: RunningService, request: pytest.FixtureRequest) -> Path:
    """An empty folder below the source root."""
    made: Path = service.sources / request.node.name.replace("[", "-").rstrip("]")
    made.mkdir()
    return made


def words(lines: list[str]) -> dict[str, int]:
    return dict(Counter(word for line in lines for word in line.split()))


# ------------------------------------------------------------------ following


async def test_a_follower_sees_rising_versions_up_to_the_terminal_one(api: Api) -> None:
    job = await api.submit("wordcount", POEM, batching={"maxItems": 1}, reducers=2)

    states = await api.states(job)

    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    assert pairs_of(states[-1]) == words(POEM)
    assert all(state["state"] in ("QUEUED", "RUNNING") for state in states[:-1])
    assert all(state["result"] is None for state in states[:-1])
    ratios = [state["ratio"] for state in states if state["ratio"] is not None]
    assert ratios == sorted(ratios)
    assert ratios[-1] == 1
    for state in states:
        for part in ("map", "reduce"):
            of_a_kind = state[part]
            placed = sum(of_a_kind[key] for key in ("pending", "running", "succeeded", "failed"))
            assert of_a_kind["total"] in (None, placed)


async def test_who_joins_late_gets_the_terminal_state_and_the_stream_completes(api: Api) -> None:
    ended = await api.run("wordcount", POEM)

    assert await api.states(ended["id"]) == [ended]


async def test_who_has_the_terminal_version_already_gets_nothing_more(api: Api) -> None:
    ended = await api.run("wordcount", POEM)

    assert await api.states(ended["id"], after_version=ended["version"]) == []


async def test_a_feed_shows_a_job_that_is_new(api: Api, folder: Path) -> None:
    gate = folder / "gate"
    os.mkfifo(gate)
    held = await api.submit("gate", [str(gate)], tags=["fed"])
    async with asyncio.timeout(20), api.socket() as session:
        request = gql(
            'subscription { jobFeed(tag: "fed", minIntervalMs: 0) { id version state result } }'
        )
        feed = session.subscribe(request)
        while (await anext(feed))["jobFeed"]["id"] != held:
            pass  # once it shows what is there, it shows what comes
        job = await api.submit("wordcount", POEM, tags=["fed"])
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["state"] != "SUCCEEDED":
            state = (await anext(feed))["jobFeed"]
            seen += [state] if state["id"] == job else []
        await feed.aclose()
    await asyncio.to_thread(gate.write_text, "enough")

    assert [state["version"] for state in seen] == sorted({state["version"] for state in seen})


async def test_one_websocket_carries_mutations_queries_and_subscriptions(api: Api) -> None:
    async with api.socket() as session:
        submit = gql(SUBMIT)
        submit.variable_values = {"input": {"program": "wordcount", "source": {"inline": POEM}}}
        job = (await session.execute(submit))["submitJob"]["job"]["id"]
        follow = gql(FOLLOW)
        follow.variable_values = {"id": job}
        states = [answer["jobStatus"] async for answer in session.subscribe(follow)]
        read = gql("query Read($id: ID!) { job(id: $id) { status { version } } }")
        read.variable_values = {"id": job}
        found = (await session.execute(read))["job"]

    assert pairs_of(states[-1]) == words(POEM)
    assert found["status"]["version"] == states[-1]["version"]


# ------------------------------------------------------------------ programs and sources


async def test_the_words_of_files_are_counted(api: Api, folder: Path) -> None:
    for index in range(3):
        (folder / f"{index}.txt").write_text("\n".join(POEM))
    (folder / "crlf.txt").write_bytes(b"the end\r\nthe end")

    status = await api.run("wordcount", f"{folder.name}/*.txt", params={"top": 2})

    assert status["result"] == [{"key": "the", "value": 11}, {"key": "end", "value": 5}]
    assert status["bytesRead"] == status["bytesTotal"] > 0
    assert status["items"]["succeeded"] == status["items"]["total"] == 14


async def test_grep_tells_the_file_and_the_byte(api: Api, folder: Path) -> None:
    (folder / "a.txt").write_text("äh\nThe fox\n")
    (folder / "b.txt").write_text("fox")

    status = await api.run("grep", f"{folder.name}/", params={"pattern": "fox$"})

    assert status["result"] == [
        {"name": f"{folder.name}/a.txt", "offset": 4, "line": "The fox"},
        {"name": f"{folder.name}/b.txt", "offset": 0, "line": "fox"},
    ]


async def test_grep_tells_which_inline_item_it_was(api: Api) -> None:
    status = await api.run("grep", POEM, params={"pattern": "^the"}, batching={"maxItems": 2})

    assert [row["name"] for row in status["result"]] == ["inline[0]", "inline[3]"]


async def test_an_inverted_index_names_the_files_of_every_word(api: Api, folder: Path) -> None:
    (folder / "a.txt").write_text("red fox\nred")
    (folder / "b.txt").write_text("fox")

    index = pairs_of(await api.run("inverted_index", f"{folder.name}/**", reducers=3))

    a, b = (f"{folder.name}/{name}.txt" for name in "ab")
    assert index == {"fox": [a, b], "red": [a]}


@pytest.mark.parametrize("batching", [{}, {"maxItems": 1}, {"maxBytes": 20}])
async def test_csv_rows_become_sales(api: Api, folder: Path, batching: dict[str, int]) -> None:
    (folder / "sales.csv").write_text(SALES)

    status = await api.run("sales", f"{folder.name}/sales.csv", batching=batching, reducers=2)

    assert status["result"] == SOLD


async def test_jsonl_rows_become_the_same_sales(api: Api, folder: Path) -> None:
    rows = ('{"city":"Oslo","amount":11}', "", '{"city":"Rome","amount":5}')
    (folder / "sales.jsonl").write_text("\n".join(rows))

    status = await api.run("sales", f"{folder.name}/sales.jsonl", params={"atLeast": 6})

    assert status["result"] == [{"city": "Oslo", "sales": 1, "amount": 11}]
    counters = (await api.job(status["id"]))["counters"]
    assert {c["name"]: c["value"] for c in counters} == {"sold": 11, "too_small": 1}


async def test_csv_without_a_header_takes_the_given_columns(api: Api, folder: Path) -> None:
    (folder / "plain").write_text("Oslo;1\nRome;2\n")
    layout = {"delimiter": ";", "header": False, "columns": ["city", "amount"]}
    files = {"uris": [f"{folder.name}/plain"], "format": "CSV", "csv": layout}

    status = await api.run("sales", {"files": files})

    assert [row["city"] for row in status["result"]] == ["Rome", "Oslo"]


async def test_a_map_only_job_keeps_the_order_of_its_items(api: Api) -> None:
    items = [f"line {index}" for index in range(25)]

    status = await api.run("lines", items, batching={"maxItems": 4})

    assert [row["line"] for row in status["result"]] == items
    assert status["reduce"]["total"] == 0


async def test_an_async_map_reduces_like_any_other(api: Api) -> None:
    status = await api.run("letters", POEM, batching={"maxItems": 1})

    assert pairs_of(status) == dict(Counter(letter for letter in "".join(POEM) if letter != " "))


@pytest.mark.parametrize("reducers", [1, 7])
@pytest.mark.parametrize("max_items", [1, 3, 1000])
async def test_batches_and_reducers_do_not_change_the_answer(
    api: Api, reducers: int, max_items: int
) -> None:
    items = [f"{POEM[i % 4]} w{i % 5}" for i in range(20)]
    shape: dict[str, Any] = {"batching": {"maxItems": max_items}, "reducers": reducers}

    counted, lengths = await asyncio.gather(
        api.run("wordcount", items, **shape), api.run("lengths", items, **shape)
    )

    assert pairs_of(counted) == words(items)
    assert pairs_of(lengths) == dict(Counter(map(len, items)))


# ------------------------------------------------------------------ submitting


async def test_a_small_job_can_be_waited_for(api: Api) -> None:
    answer = await api.try_submit(program="wordcount", source={"inline": POEM}, waitUpToMs=10_000)

    assert pairs_of(answer["job"]["status"]) == words(POEM)
    assert answer["job"]["allowedActions"] == ["DELETE"]


async def test_the_same_idempotency_key_leads_to_the_same_job(api: Api) -> None:
    job = {"program": "wordcount", "source": {"inline": POEM}, "idempotencyKey": uuid4().hex}

    answers = await asyncio.gather(*(api.try_submit(**job) for _ in range(5)))
    conflict = await api.try_submit(**{**job, "source": {"inline": ["other"]}})

    assert len({answer["job"]["id"] for answer in answers}) == 1
    assert sorted(answer["created"] for answer in answers) == [False] * 4 + [True]
    assert conflict["code"] == "IDEMPOTENCY_CONFLICT"
    assert conflict["existingJobId"] == answers[0]["job"]["id"]


async def test_thirty_jobs_at_once_all_end_right(api: Api) -> None:
    async def one(index: int) -> None:
        items = [f"job{index} {line}" for line in POEM]
        program = ("wordcount", "slow_count")[index % 2]
        status = await api.run(program, items, batching={"maxItems": 2}, reducers=1 + index % 3)
        assert pairs_of(status) == words(items)

    async with asyncio.TaskGroup() as group:
        for index in range(30):
            group.create_task(one(index))


async def test_a_job_that_never_yields_is_cancelled_and_its_worker_goes_on(api: Api) -> None:
    stuck = [await api.submit("endless", ["x"]) for _ in range(2)]
    await asyncio.gather(*(_running(api, job) for job in stuck))

    cancelled = await asyncio.gather(*(api.ask(CANCEL, id=job) for job in stuck))
    ends = await asyncio.gather(*(api.end_of(job, within_s=5) for job in stuck))
    again = await api.ask(CANCEL, id=stuck[0])

    assert [answer["cancelJob"]["job"]["status"]["state"] for answer in cancelled] == [
        "CANCELLING",
        "CANCELLING",
    ]
    assert [(end["state"], end["message"]) for end in ends] == [("CANCELLED", "enough")] * 2
    assert again["cancelJob"]["job"]["status"]["version"] == ends[0]["version"]
    assert pairs_of(await api.run("wordcount", POEM)) == words(POEM)


async def _running(api: Api, job: str) -> None:
    async with aclosing(api.follow(job)) as states:
        async for state in states:
            if state["map"]["running"]:
                break
