from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.opened_page import LARGE, PHONE, OpenedPage

SCHEMES = ("light", "dark")
VIEWPORTS = {"large": LARGE, "phone": PHONE}


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=VIEWPORTS)
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(open_page: Open, scheme: str, size: str) -> OpenedPage:
    return open_page("/", color_scheme=scheme, viewport=VIEWPORTS[size], reduced_motion="reduce")


def check(opened: OpenedPage, name: str, scheme: str, size: str) -> None:
    opened.keep_picture(f"{name} {scheme} {size}")
    assert opened.serious_issues() == []
    assert fits(opened), "the page is wider than the screen"


def fits(opened: OpenedPage) -> bool:
    narrow: bool = opened.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return narrow


def test_the_list_of_jobs_keeps_nobody_out(opened: OpenedPage, scheme: str, size: str) -> None:
    opened.submit(program="wordcount", source={"inline": ["a"]}, tags=["nightly"], name="Counted")
    expect(opened.page.get_by_role("link", name="Counted").first).to_be_visible()

    check(opened, "jobs", scheme, size)


@pytest.mark.parametrize("kind", ["Program", "SQL"])
def test_the_form_keeps_nobody_out(opened: OpenedPage, kind: str, scheme: str, size: str) -> None:
    opened.go("/#/new")
    opened.page.get_by_text(kind, exact=True).first.click()
    opened.page.get_by_text("Options").click()
    expect(opened.page.get_by_label("Map step")).to_be_visible()

    check(opened, f"new {kind}", scheme, size)


def test_a_job_keeps_nobody_out(opened: OpenedPage, scheme: str, size: str) -> None:
    job: dict[str, Any] = {
        "program": "picky",
        "source": {"inline": ["good", "bad news", *map(str, range(40))]},
        "failurePolicy": {"maxAttempts": 1, "badItems": "SKIP", "toleratedFailureCount": 9},
    }
    opened.go(f"/#/jobs/{opened.submit(**job, waitUpToMs=10_000)}")
    expect(opened.page.get_by_test_id("chart")).to_be_visible()
    opened.page.get_by_text("All tasks").click()
    opened.page.get_by_text("Details and counters").click()
    expect(opened.page.get_by_role("table", name="Tasks")).to_be_visible()

    check(opened, "job", scheme, size)


@pytest.mark.parametrize("dialog", ["Share", "Redrive", "Delete"])
def test_dialogs_keep_nobody_out(open_page: Open, dialog: str, scheme: str) -> None:
    opened = open_page("/", color_scheme=scheme, viewport=PHONE)
    job: dict[str, Any] = {
        "program": "picky",
        "source": {"inline": ["bad"]},
        "failurePolicy": {"maxAttempts": 1},
    }
    opened.go(f"/#/jobs/{opened.submit(**job, waitUpToMs=10_000)}")
    opened.press(dialog)
    expect(opened.page.get_by_role("dialog")).to_be_visible()

    check(opened, f"dialog {dialog}", scheme, "phone")


def test_graphiql_keeps_nobody_out(open_page: Open, scheme: str) -> None:
    opened = open_page("/graphql", color_scheme=scheme)
    expect(opened.page.get_by_label("Operation Editor")).to_contain_text("submitJob")

    # Tabs with a button inside, and the colours of what the editor takes apart, are GraphiQL's own.
    assert opened.serious_issues(but="nested-interactive|color-contrast: .*mtk") == []


def test_all_of_it_is_reached_by_keys(open_page: Open) -> None:
    opened = open_page("/#/new")
    expect(opened.page.get_by_label("Map step")).to_be_visible()

    opened.page.keyboard.press("Tab")
    expect(opened.page.get_by_text("Skip to the content")).to_be_focused()
    opened.page.keyboard.press("Enter")
    expect(opened.page.get_by_role("main")).to_be_focused()
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("ArrowRight")
    expect(opened.page.get_by_label("Query")).to_be_visible()
    opened.page.keyboard.press("ArrowLeft")
    opened.page.get_by_label("top").press("Enter")

    opened.expect_state("SUCCEEDED")
    expect(opened.page.get_by_role("main")).to_be_focused()


def test_the_switch_of_colours_is_remembered(open_page: Open) -> None:
    opened = open_page("/", color_scheme="light")

    opened.press("Switch to Dark")
    opened.page.reload()

    expect(opened.button("Switch to Light")).to_be_visible()
    dark = opened.page.evaluate("getComputedStyle(document.documentElement).colorScheme")
    assert dark == "dark"
