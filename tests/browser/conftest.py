"""A real browser in front of a real service; what a page must never do fails its test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from app.serving.assets import BUILT
from tests.support.needs import do_without
from tests.support.opened_page import OpenedPage, opened
from tests.support.running import RunningService

Open = Callable[..., OpenedPage]

expect.set_options(timeout=15_000)


# Not of the session: while Playwright runs, no test with an event loop of its own can.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as Debian has it."""
    executable = shutil.which("chromium")
    if executable is None:
        do_without("needs chromium on PATH")
    if not (BUILT / "index.html").exists():
        do_without("needs the console: make console")
    # Its sandbox refuses to work for root.
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=args)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of pages are kept, for people to look at."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def open_page(browser: Browser, service: RunningService, screenshots: Path) -> Iterator[Open]:
    """Opens pages of the service; in the end, each must have behaved."""
    pages: list[OpenedPage] = []

    def open_at(path: str, *, url: str = service.url, **context: object) -> OpenedPage:
        page = opened(browser, url, path, screenshots=screenshots, **context)
        pages.append(page)
        return page

    yield open_at
    for page in pages:
        page.close()
        assert page.misdeeds == []
