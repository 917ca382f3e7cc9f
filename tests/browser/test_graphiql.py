from __future__ import annotations

import re

from playwright.sync_api import FloatRect, expect

from tests.browser.conftest import Open
from tests.support.opened_page import WITHIN_MS, OpenedPage

NARROW = {"width": 390, "height": 844}

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


def test_on_a_narrow_screen_the_answer_stands_below_the_editor(open_page: Open) -> None:
    opened = open_page("/graphql", viewport=NARROW)

    run(opened, "Submit")

    answer = opened.page.get_by_label("Result Window")
    expect(answer).to_contain_text('"SubmitJobSuccess"', timeout=WITHIN_MS)
    opened.keep_picture("graphiql narrow")
    editor, shown = box(opened, "Operation Editor"), box(opened, "Result Window")
    assert shown["width"] > 340
    assert shown["height"] > 250
    assert editor["width"] > 340
    assert editor["height"] > 150
    assert editor["y"] + editor["height"] <= shown["y"]
    assert opened.page.evaluate("document.documentElement.scrollHeight") == NARROW["height"]
    home = opened.page.get_by_role("link", name="Fanfold console")
    assert home.evaluate("link => link.getClientRects().length") == 1


def test_on_a_narrow_screen_the_documentation_takes_the_room_and_gives_it_back(
    open_page: Open,
) -> None:
    opened = open_page("/graphql", viewport=NARROW)
    editor = opened.page.get_by_label("Operation Editor")
    expect(editor).to_contain_text("submitJob", timeout=WITHIN_MS)

    opened.press("Show Documentation Explorer")
    expect(opened.page.get_by_text("A GraphQL schema provides")).to_be_visible()
    expect(editor).to_be_hidden()

    opened.press("Hide Documentation Explorer")
    expect(editor).to_be_visible()


def test_every_digit_of_a_number_is_shown_that_came_over_a_websocket(open_page: Open) -> None:
    opened = open_page("/graphql")
    sql = "SELECT 9007199254740993 AS n FROM input"
    job = opened.submit(sql=sql, source={"inline": ["a"]}, waitUpToMs=10_000)
    editor = opened.page.get_by_label("Operation Editor")
    expect(editor).to_contain_text("submitJob", timeout=WITHIN_MS)

    editor.locator(".view-lines").click()
    opened.page.keyboard.press("Control+a")
    opened.page.keyboard.insert_text(f'subscription {{ jobStatus(id: "{job}") {{ result }} }}')
    expect(editor).to_contain_text("jobStatus")
    opened.page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()

    answer = opened.page.get_by_label("Result Window")
    expect(answer).to_contain_text("9007199254740993", timeout=WITHIN_MS)


def box(opened: OpenedPage, label: str) -> FloatRect:
    found = opened.page.get_by_label(label).bounding_box()
    assert found is not None
    return found
