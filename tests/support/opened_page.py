"""A page in a browser, watched for what it must not do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect

from tests.support.running import ROOT

AXE: Final = ROOT / "console/node_modules/axe-core/axe.min.js"
WITHIN_MS: Final = 30_000
LARGE: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 360, "height": 740}
_TELL_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
_RUN_AXE: Final = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}"""


@dataclass
class OpenedPage:
    """A page that was opened.

    Attributes:
        page: Playwright's.
        url: Of the service.
        misdeeds: Errors in its console or of its scripts, breaches of the content security policy,
            and requests to other hosts, which are not let through.
        tolerated: What of these is expected, as a regular expression.
    """

    page: Page
    url: str
    screenshots: Path
    misdeeds: list[str] = field(default_factory=list)
    tolerated: str | None = None

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def press(self, name: str) -> None:
        self.button(name).click()

    def expect_state(self, state: str) -> None:
        badge = self.page.locator(".page-head .badge")
        expect(badge).to_have_attribute("data-state", state, timeout=WITHIN_MS)

    @property
    def job_id(self) -> str:
        """The job whose page this is."""
        self.page.wait_for_url("**/#/jobs/*")
        return self.page.url.rpartition("/")[2]

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask the service from outside the page."""
        answer = self.page.request.post(
            f"{self.url}/graphql", data={"query": query, "variables": variables}
        ).json()
        assert "errors" not in answer, json.dumps(answer)
        return answer["data"]

    def submit(self, **job: Any) -> str:
        """Submit a job from outside the page; return its id."""
        document = """
            mutation Submit($input: SubmitJobInput!) {
              submitJob(input: $input) {
                ... on SubmitJobSuccess { job { id } }
                ... on UserError { message }
              }
            }
        """
        answer = self.ask(document, input=job)["submitJob"]
        assert "job" in answer, answer
        job_id: str = answer["job"]["id"]
        return job_id

    def serious_issues(self, *, but: str | None = None) -> list[str]:
        """Return what axe-core finds that keeps people from using the page.

        Args:
            but: What is not ours to mend, as a regular expression.
        """
        self.page.evaluate(AXE.read_text())
        found: list[str] = self.page.evaluate(_RUN_AXE)
        return [issue for issue in found if not but or not re.match(but, issue)]

    def keep_picture(self, name: str) -> None:
        self.page.screenshot(path=self.screenshots / f"{name}.png", full_page=True)

    def close(self) -> None:
        self.page.context.close()

    def note(self, misdeed: str) -> None:
        if self.tolerated is None or not re.search(self.tolerated, misdeed):
            self.misdeeds.append(misdeed)


def opened(
    browser: Browser, url: str, path: str, *, screenshots: Path, **context: Any
) -> OpenedPage:
    """Open the page at *path* in a context, so a tab with a storage, of its own."""
    page = browser.new_context(
        **{"viewport": LARGE, "accept_downloads": True, **context}
    ).new_page()
    page.set_default_timeout(WITHIN_MS)
    watched = OpenedPage(page, url, screenshots)

    def take(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            watched.note(f"console: {message.text}")

    def guard(route: Route) -> None:
        if urlsplit(route.request.url).netloc in ("", urlsplit(url).netloc):
            route.continue_()
        else:
            watched.note(f"foreign: {route.request.url}")
            route.abort()

    page.on("console", take)
    page.on("pageerror", lambda error: watched.note(f"script: {error}"))
    page.context.route("**/*", guard)
    page.add_init_script(_TELL_VIOLATIONS)
    watched.go(path)
    return watched
