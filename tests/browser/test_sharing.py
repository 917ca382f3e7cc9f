from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.opened_page import OpenedPage
from tests.support.running import RunningService, fanfold, free_port, running_service

REFUSED = "status of 401"
SECRET = re.compile(r"fan_[\w-]+")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that wants to know who calls."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = {"FANFOLD_AUTH": "keys", "FANFOLD_SQL": "off"}
    with running_service(
        folder / "data", folder, port=free_port(), workers=1, settings=settings
    ) as running:
        yield running


@pytest.fixture
def key(guarded: RunningService) -> str:
    made = fanfold(
        *("key", "create", "--tenant", "acme", "--scope", "read,submit,manage"),
        environ={"FANFOLD_DATA_DIR": str(guarded.data_dir)},
    )
    assert made.returncode == 0, made.stderr
    found = SECRET.search(made.stdout)
    assert found, made.stdout
    return found.group()


def enter(opened: OpenedPage, token: str) -> None:
    opened.page.get_by_label("API key or token").fill(token)
    opened.press("Use it")


def submit(opened: OpenedPage) -> None:
    opened.go("/#/new")
    expect(opened.page.get_by_label("Map step")).to_be_visible()
    opened.press("Submit")
    opened.expect_state("SUCCEEDED")


def test_a_token_is_asked_for_and_kept_for_the_tab_alone(
    open_page: Open, guarded: RunningService, key: str
) -> None:
    opened = open_page("/", url=guarded.url)
    opened.tolerated = REFUSED
    expect(opened.page.get_by_role("dialog", name="Who is calling?")).to_be_visible()
    opened.keep_picture("token")

    enter(opened, key)

    expect(opened.page.get_by_text("Live", exact=True)).to_be_visible()
    expect(opened.page.get_by_role("dialog")).to_have_count(0)
    submit(opened)
    assert key not in opened.page.evaluate("JSON.stringify(localStorage) + document.cookie")


def test_a_wrong_token_is_asked_for_again(open_page: Open, guarded: RunningService) -> None:
    opened = open_page("/", url=guarded.url)
    opened.tolerated = REFUSED

    enter(opened, "fan_wrong_wrong")

    expect(opened.page.get_by_role("dialog").locator(".problem")).not_to_be_empty()


def test_a_shared_link_shows_the_job_and_nothing_else(
    open_page: Open, guarded: RunningService, key: str
) -> None:
    opened = open_page("/", url=guarded.url)
    opened.tolerated = REFUSED
    enter(opened, key)
    submit(opened)
    opened.press("Share")
    opened.press("Make a link")
    link = opened.page.get_by_label("Link").input_value()
    assert link.startswith(f"{guarded.url}/#/jobs/{opened.job_id}?token=fanv_")

    guest = open_page(link.removeprefix(guarded.url), url=guarded.url)

    guest.expect_state("SUCCEEDED")
    expect(guest.page.get_by_test_id("chart")).to_contain_text("the")
    expect(guest.page.get_by_role("link", name="part-00000.jsonl")).to_be_visible()
    assert "token" not in guest.page.url
    expect(guest.page.get_by_role("link", name="New", exact=True)).to_have_count(0)
    for action in ("Share", "Cancel", "Redrive", "Delete"):
        expect(guest.button(action)).to_have_count(0)
