from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.opened_page import PHONE, WITHIN_MS, OpenedPage

# 200 map tasks of at least 30 ms each: long enough to be looked at.
SLOW: dict[str, Any] = {
    "program": "slow_count",
    "source": {"inline": [f"w{n % 7} w{n % 3} w0 w{n}" for n in range(200)]},
    "batching": {"maxItems": 1},
    "partialEveryMs": 100,
}
FOLLOWED = "query Job($id: ID!) { job(id: $id) { status { state } } }"


def watch(opened: OpenedPage, job_id: str) -> None:
    opened.go(f"/#/jobs/{job_id}")


def test_the_chart_moves_while_the_job_runs(open_page: Open) -> None:
    opened = open_page("/")
    watch(opened, opened.submit(**SLOW))
    bars = opened.page.locator(".bars")

    expect(bars).to_contain_text("w0", timeout=WITHIN_MS)
    before = bars.inner_text()
    opened.expect_state("RUNNING")
    opened.keep_picture("job running")
    expect(bars).not_to_have_text(before, use_inner_text=True, timeout=WITHIN_MS)
    expect(opened.page.get_by_label(re.compile("^Map: .*Running"))).to_be_visible()
    expect(opened.page.get_by_role("img", name="Items a second")).to_be_visible()

    opened.expect_state("SUCCEEDED")
    # Once in each line, once more in every third and seventh, and in the first.
    expect(bars.locator("li").filter(has_text="w0")).to_have_text("w0297")
    opened.keep_picture("job succeeded")


def test_the_end_is_said_to_those_who_listen(open_page: Open) -> None:
    opened = open_page("/")
    watch(opened, opened.submit(**SLOW))

    said = opened.page.get_by_role("status").filter(has_text="Job")

    expect(said).to_have_text(re.compile(r"Job running, \d+ percent"), timeout=WITHIN_MS)
    expect(said).to_have_text("Job succeeded", timeout=WITHIN_MS)


def test_the_result_is_downloaded(open_page: Open) -> None:
    opened = open_page("/")
    watch(
        opened,
        opened.submit(program="wordcount", source={"inline": ["a b a"]}, waitUpToMs=10_000),
    )

    with opened.page.expect_download() as download:
        opened.page.get_by_role("link", name="part-00000.jsonl").click()

    rows = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert rows == [{"key": "a", "value": 2}, {"key": "b", "value": 1}]


def test_a_long_result_is_read_as_it_is_scrolled_and_sorted_when_it_is_there(
    open_page: Open,
) -> None:
    opened = open_page("/")
    lines = [f"word{n:05}" for n in range(2_500)]
    watch(
        opened,
        opened.submit(program="wordcount", source={"inline": lines}, waitUpToMs=10_000),
    )
    table = opened.page.get_by_role("table", name="Result")
    expect(table).to_have_attribute("aria-rowcount", "2501")
    assert table.get_by_role("row").count() < 100

    opened.page.get_by_role("columnheader", name="key").get_by_role("button").click()
    header = opened.page.get_by_role("columnheader", name="key")
    expect(header).to_have_attribute("aria-sort", "ascending")
    header.get_by_role("button").click()

    expect(header).to_have_attribute("aria-sort", "descending")
    expect(table.get_by_role("row").nth(1)).to_contain_text("word02499")


def test_numbers_have_all_their_digits_wherever_they_are_shown_and_sent_again(
    open_page: Open,
) -> None:
    opened = open_page("/")
    # The nearest double of the first is the second.
    numbers = [9_007_199_254_740_993, 9_007_199_254_740_992]
    job: dict[str, Any] = {
        "sql": "SELECT line, n, {'n': n} AS within FROM input WHERE n >= $least",
        "params": {"least": 9_007_199_254_740_991},
        "source": {"inline": [{"line": f"l{at}", "n": n} for at, n in enumerate(numbers)]},
    }
    watch(opened, opened.submit(**job, waitUpToMs=10_000))
    opened.expect_state("SUCCEEDED")
    table = opened.page.get_by_role("table", name="Result")
    said = "9,007,199,254,740,993"
    expect(table.get_by_role("row").nth(1)).to_have_text(f'l0{said}{{"n":{numbers[0]}}}')
    expect(table.get_by_title(said, exact=True)).to_be_visible()
    expect(opened.page.locator(".bars")).to_contain_text(said)
    opened.keep_picture("job with large numbers")

    for first in ("l0", "l1"):  # the largest, then the smallest
        opened.page.get_by_role("columnheader", name="n", exact=True).get_by_role("button").click()
        expect(table.get_by_role("row").nth(1)).to_contain_text(first)

    opened.page.get_by_role("link", name="New like this").click()
    items = opened.page.get_by_label("Items", exact=True)
    expect(items).to_have_value(re.compile(str(numbers[0])))
    expect(opened.page.get_by_label("Map step")).to_be_visible()
    opened.press("Submit")
    expect(table.get_by_role("row").nth(1)).to_contain_text(said)


def test_a_job_is_cancelled(open_page: Open) -> None:
    opened = open_page("/")
    watch(opened, opened.submit(program="endless", source={"inline": ["a"]}))
    opened.expect_state("RUNNING")

    opened.press("Cancel")
    opened.press("Cancel the job")

    opened.expect_state("CANCELLED")
    expect(opened.button("Cancel")).to_have_count(0)


def test_a_job_is_redriven_with_params_that_are_right(open_page: Open) -> None:
    opened = open_page("/")
    watch(
        opened,
        opened.submit(
            program="picky",
            source={"inline": ["good", "bad", "worse"]},
            failurePolicy={"maxAttempts": 1},
            waitUpToMs=10_000,
        ),
    )
    opened.expect_state("FAILED")
    expect(opened.page.get_by_role("alert")).to_contain_text("USER_CODE")

    opened.press("Redrive")
    opened.page.get_by_label("refuses").fill("nothing at all")
    opened.press("Run again")

    opened.expect_state("SUCCEEDED")
    expect(opened.page.locator(".subtitle")).to_contain_text("run 2")
    expect(opened.page.get_by_test_id("chart")).to_contain_text("worse")


def test_items_that_failed_are_shown_with_where_and_why(open_page: Open) -> None:
    opened = open_page("/")
    policy = {"maxAttempts": 1, "badItems": "SKIP", "toleratedFailureCount": 9}
    watch(
        opened,
        opened.submit(
            program="picky",
            source={"inline": ["good", "bad news"]},
            failurePolicy=policy,
            waitUpToMs=10_000,
        ),
    )

    opened.expect_state("PARTIALLY_SUCCEEDED")
    failed = opened.page.get_by_role("region", name="Failed items")
    expect(failed).to_contain_text("bad news")
    expect(failed).to_contain_text("is not liked")
    expect(failed).to_contain_text("inline[1]")
    opened.keep_picture("job with failures")


def test_a_job_is_deleted_with_its_result(open_page: Open) -> None:
    opened = open_page("/")
    job = opened.submit(program="wordcount", source={"inline": ["a"]}, waitUpToMs=10_000)
    watch(opened, job)

    opened.press("Delete")
    opened.press("Delete it")

    expect(opened.page.get_by_role("heading", name="Jobs")).to_be_visible()
    assert opened.ask(FOLLOWED, id=job)["job"] is None


def test_tasks_are_listed_by_the_state_that_was_pressed(open_page: Open) -> None:
    opened = open_page("/", viewport=PHONE)
    watch(
        opened,
        opened.submit(
            program="wordcount",
            source={"inline": ["a", "b", "c"]},
            batching={"maxItems": 1},
            waitUpToMs=10_000,
        ),
    )

    opened.press("3 succeeded")

    tasks = opened.page.get_by_role("table", name="Tasks")
    expect(tasks.get_by_role("row")).to_have_count(4)
    expect(tasks).to_contain_text("map 2")


def test_a_square_tells_of_its_task(open_page: Open) -> None:
    opened = open_page("/")
    job: dict[str, Any] = {
        "program": "picky",
        "source": {"inline": ["good", "bad", "fine"]},
        "batching": {"maxItems": 1},
        "failurePolicy": {"maxAttempts": 1, "toleratedFailureCount": 1},
    }
    watch(opened, opened.submit(**job, waitUpToMs=10_000))
    opened.expect_state("PARTIALLY_SUCCEEDED")
    expect(opened.page.get_by_text("A square for each task")).to_be_visible()
    squares = opened.page.get_by_role("img", name="Map: 2 Succeeded, 1 Failed")

    squares.hover(position={"x": 2, "y": 8})
    expect(opened.page.locator(".task-detail")).to_contain_text("map 0")
    squares.click(position={"x": 20, "y": 8})

    detail = opened.page.locator(".task-detail")
    expect(detail).to_contain_text("map 1")
    expect(detail).to_contain_text("is not liked")
    expect(detail).to_contain_text("1 try")


def test_a_job_is_changed_while_it_runs(open_page: Open) -> None:
    opened = open_page("/")
    watch(opened, opened.submit(program="endless", source={"inline": ["a"]}, tags=["old"]))
    opened.expect_state("RUNNING")

    opened.press("Change")
    opened.page.get_by_label("Tags").fill("new")
    opened.page.get_by_label("Map tasks at once").fill("1")
    opened.page.get_by_label("Failed items tolerated (%)").fill("5")
    opened.press("Change it")

    expect(opened.page.get_by_role("dialog")).to_have_count(0)
    expect(opened.page.locator(".page-head .tags")).to_have_text("new")
    document = "query Job($id: ID!) { job(id: $id) { spec } }"
    spec = opened.ask(document, id=opened.job_id)["job"]["spec"]
    assert spec["maxConcurrency"] == 1
    assert spec["failurePolicy"]["toleratedFailurePercentage"] == 5
    opened.press("Cancel")
    opened.press("Cancel the job")
    opened.expect_state("CANCELLED")


def test_the_list_follows_jobs_that_others_submit(open_page: Open) -> None:
    opened = open_page("/")
    expect(opened.page.get_by_text("Live", exact=True)).to_be_visible()

    opened.submit(program="wordcount", source={"inline": ["a"]}, name="Of somebody else")

    row = opened.page.get_by_role("row").filter(has_text="Of somebody else")
    expect(row.locator("[data-state=SUCCEEDED]")).to_be_visible(timeout=WITHIN_MS)
    opened.keep_picture("jobs")


def test_a_phone_shows_states_and_progress_without_scrolling_sideways(open_page: Open) -> None:
    opened = open_page("/", viewport={"width": 390, "height": 844})
    name = "The nightly count of all words of the region"
    job = opened.submit(program="endless", source={"inline": ["a"]}, name=name)
    table = opened.page.get_by_role("group", name="Jobs")
    row = table.get_by_role("row").filter(has_text="nightly count")

    expect(row.locator("[data-state=RUNNING]")).to_be_in_viewport(ratio=1, timeout=WITHIN_MS)
    expect(row.get_by_role("progressbar")).to_be_in_viewport(ratio=1)
    opened.keep_picture("jobs narrow")
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth")
    opened.ask("mutation Cancel($id: ID!) { cancelJob(id: $id) { __typename } }", id=job)


def test_the_title_names_the_page_and_the_state_of_its_job(open_page: Open) -> None:
    opened = open_page("/")
    expect(opened.page).to_have_title("Jobs · Fanfold")

    opened.go("/#/new")
    expect(opened.page).to_have_title("New job · Fanfold")

    endless: dict[str, Any] = {"program": "endless", "source": {"inline": ["a"]}}
    watch(opened, opened.submit(**endless, name="Counted"))
    expect(opened.page).to_have_title("Counted · Running · Fanfold")
    opened.press("Cancel")
    opened.press("Cancel the job")
    expect(opened.page).to_have_title("Counted · Cancelled · Fanfold")

    job = opened.submit(**endless)
    watch(opened, job)
    expect(opened.page).to_have_title(f"{job} · Running · Fanfold")
    opened.press("Cancel")
    opened.press("Cancel the job")
    expect(opened.page).to_have_title(f"{job} · Cancelled · Fanfold")


def test_the_list_is_filtered(open_page: Open) -> None:
    opened = open_page("/")
    opened.submit(program="wordcount", source={"inline": ["a"]}, name="Tagged", tags=["only-this"])
    opened.submit(program="grep", source={"inline": ["a"]}, params={"pattern": "b"}, name="Other")
    rows = opened.page.get_by_role("table", name="Jobs").get_by_role("row")
    expect(rows.filter(has_text="Other")).to_be_visible()

    opened.page.get_by_label("Tag", exact=True).fill("only-this")

    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("Tagged")
    opened.page.get_by_label("Search the listed jobs").fill("nowhere")
    opened.press("Show all jobs")
    expect(rows.filter(has_text="Other")).to_be_visible()
