from __future__ import annotations

import re

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
    expect(editor).to_contain_text(operation(), timeout=WITHIN_MS)
    opened.page.locator(f".graphiql-tab-button[title={tab}]").click()
    expect(editor).to_contain_text(operation(tab), timeout=WITHIN_MS)
    opened.page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()


def operation(name: str = "") -> re.Pattern[str]:
    return re.compile(rf"(query|mutation|subscription)\s{name}")


def test_every_example_runs_at_once(open_page: Open) -> None:
    opened = open_page("/graphql")
    answer = opened.page.get_by_label("Result Window")

    for tab, expected in ANSWERS.items():
        run(opened, tab)

        expect(answer).to_contain_text(expected, timeout=WITHIN_MS)
        opened.keep_picture(f"graphiql {tab}")


def test_a_subscription_shows_what_it_gets_until_the_job_has_ended(open_page: Open) -> None:
    opened = open_page("/graphql")
    job = opened.submit(program="endless", source={"inline": ["a"]})

    run(opened, "Follow")

    answer = opened.page.get_by_label("Result Window")
    expect(answer).to_contain_text('"RUNNING"', timeout=WITHIN_MS)
    opened.ask("mutation Cancel($id: ID!) { cancelJob(id: $id) { __typename } }", id=job)
    expect(answer).to_contain_text('"CANCELLED"', timeout=WITHIN_MS)
