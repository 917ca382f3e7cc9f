from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.opened_page import WITHIN_MS, OpenedPage

ANSWERS = {
    "Submit": '"SubmitJobSuccess"',
    "Follow": '"SUCCEEDED"',
    "SubmitSQL": '"Turin"',
    "Page": '"rowCount"',
    "Plan": '"JobPlan"',
    "Fail": '"FAILED"',
    "Redrive": '"JobActionSuccess"',
}


def run(opened: OpenedPage, tab: str) -> None:
    editor = opened.page.get_by_label("Operation Editor")
    # GraphiQL forgets which tab was pressed before its editor was there.
    expect(editor).to_contain_text(operation("Submit"), timeout=WITHIN_MS)
    opened.page.locator(f".graphiql-tab-button[title={tab}]").click()
    expect(editor).to_contain_text(operation(tab), timeout=WITHIN_MS)
    opened.page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()


def operation(name: str) -> re.Pattern[str]:
    return re.compile(rf"(query|mutation|subscription)\s{name}\b")


@pytest.mark.parametrize("example", ANSWERS)
def test_every_example_runs_at_once(open_page: Open, example: str) -> None:
    opened = open_page("/graphql")

    run(opened, example)

    answer = opened.page.get_by_label("Result Window")
    expect(answer).to_contain_text(ANSWERS[example], timeout=WITHIN_MS)
    opened.keep_picture(f"graphiql {example}")


def test_a_subscription_shows_what_it_gets_until_the_job_has_ended(open_page: Open) -> None:
    opened = open_page("/graphql")
    opened.submit(
        program="slow_count",
        source={"inline": ["a b"] * 60},
        batching={"maxItems": 1},
    )

    run(opened, "Follow")

    answer = opened.page.get_by_label("Result Window")
    expect(answer).to_contain_text('"RUNNING"', timeout=WITHIN_MS)
    expect(answer).to_contain_text('"SUCCEEDED"', timeout=WITHIN_MS)
