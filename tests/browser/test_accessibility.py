from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError
from tests.support.opened_page import LARGE, PHONE, OpenedPage
from tests.support.running import ROOT

SCHEMES = ("light", "dark")
VIEWPORTS = {"large": LARGE, "phone": PHONE}
PICKY: dict[str, Any] = {
    "program": "picky",
    "source": {"inline": ["good", "bad news", *map(str, range(40))]},
    "failurePolicy": {"maxAttempts": 1, "badItems": "SKIP", "toleratedFailureCount": 9},
}


@pytest.fixture(scope="module", autouse=True)
def axe() -> None:
    """axe-core, which building the console does not need."""
    try:
        Node.find().install(ROOT / "console")
    except NoNodeError as exc:
        do_without(str(exc))


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def check(opened: OpenedPage, name: str) -> None:
    opened.keep_picture(name)
    assert opened.serious_issues() == [], name
    assert fits(opened), f"{name} is wider than the screen"


def fits(opened: OpenedPage) -> bool:
    narrow: bool = opened.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return narrow


@pytest.mark.parametrize("size", VIEWPORTS)
def test_no_page_keeps_anybody_out(open_page: Open, scheme: str, size: str) -> None:
    opened = open_page("/", color_scheme=scheme, viewport=VIEWPORTS[size], reduced_motion="reduce")
    opened.submit(program="wordcount", source={"inline": ["a"]}, tags=["nightly"], name="Counted")
    expect(opened.page.get_by_role("link", name="Counted").first).to_be_visible()
    check(opened, f"jobs {scheme} {size}")

    opened.go("/#/new")
    opened.page.get_by_text("More options").click()
    expect(opened.page.get_by_label("Map step")).to_be_visible()
    check(opened, f"new program {scheme} {size}")

    opened.page.get_by_text("SQL", exact=True).click()
    opened.page.get_by_text("Files", exact=True).click()
    opened.page.get_by_text("How CSV and JSON are read").click()
    opened.page.get_by_label("Addresses").fill("nowhere.csv")
    expect(opened.page.locator(".field .problem")).to_be_visible()
    check(opened, f"new SQL {scheme} {size}")

    opened.go(f"/#/jobs/{opened.submit(**PICKY, waitUpToMs=10_000)}")
    expect(opened.page.get_by_test_id("chart")).to_be_visible()
    opened.page.get_by_text("All tasks").click()
    expect(opened.page.get_by_role("button", name="map 0")).to_be_visible()  # what is below moves
    opened.page.get_by_text("Details and counters").click()
    expect(opened.page.get_by_label("The job as accepted")).to_contain_text("picky")
    opened.press("map 0")
    check(opened, f"job {scheme} {size}")


def test_no_dialog_keeps_anybody_out(open_page: Open, scheme: str) -> None:
    opened = open_page("/", color_scheme=scheme, viewport=PHONE)
    policy = {"maxAttempts": 1}
    failed = opened.submit(
        program="picky", source={"inline": ["bad"]}, failurePolicy=policy, waitUpToMs=10_000
    )
    endless = opened.submit(program="endless", source={"inline": ["a"]})

    for job, dialog in (
        (failed, "Share"),
        (failed, "Redrive"),
        (failed, "Delete"),
        (endless, "Change"),
        (endless, "Cancel"),
    ):
        opened.go(f"/#/jobs/{job}")
        opened.press(dialog)
        expect(opened.page.get_by_role("dialog")).to_be_visible()
        check(opened, f"dialog {dialog} {scheme}")
        opened.page.keyboard.press("Escape")
        expect(opened.page.get_by_role("dialog")).to_have_count(0)

    opened.press("Cancel")
    opened.press("Cancel the job")
    opened.expect_state("CANCELLED")


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
