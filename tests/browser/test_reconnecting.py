from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.opened_page import WITHIN_MS
from tests.support.running import free_port, running_service

UNREACHABLE = r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket connection"


def test_a_page_goes_on_after_the_service_was_restarted(open_page: Open, tmp_path: Path) -> None:
    port = free_port()
    job = {
        "program": "slow_count",
        "source": {"inline": [f"w{n % 7}" for n in range(150)]},
        "batching": {"maxItems": 1},
        "partialEveryMs": 100,
    }
    with running_service(tmp_path / "data", tmp_path, port=port, workers=1) as first:
        opened = open_page("/", url=first.url)
        opened.tolerated = UNREACHABLE
        opened.go(f"/#/jobs/{opened.submit(**job)}")
        expect(opened.page.locator(".bars")).to_be_visible(timeout=WITHIN_MS)
    expect(opened.page.get_by_text("Reconnecting")).to_be_visible(timeout=WITHIN_MS)
    expect(opened.page.get_by_text("The connection was lost")).to_be_visible()
    expect(opened.page.locator(".bars")).to_be_visible()

    with running_service(tmp_path / "data", tmp_path, port=port, workers=1):
        expect(opened.page.get_by_text("Live", exact=True)).to_be_visible(timeout=WITHIN_MS)
        opened.expect_state("SUCCEEDED")
        expect(opened.page.locator(".bars li")).to_have_count(7)
        opened.page.wait_for_load_state("networkidle")
