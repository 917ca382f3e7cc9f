"""The page of ``examples/web`` in a browser: one job with Apollo Client and with urql."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.comings_and_goings import cluster_in
from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError, without_proxies
from tests.support.running import RunningService, fanfold, free_port, running_service, url_of
from tests.support.waiting import eventually

WEB: Final = Path(__file__).parents[2] / "examples" / "web"
PANELS: Final = ("Apollo Client", "urql")
SHOWN_WITHIN_MS: Final = 30_000


@pytest.fixture(scope="module")
def node() -> Node:
    try:
        found = Node.find()
        found.install(WEB)
    except NoNodeError as exc:
        do_without(str(exc))
    subprocess.run(found.command(WEB / "codegen.mjs"), cwd=WEB, check=True)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        do_without("needs chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        context.set_default_timeout(SHOWN_WITHIN_MS)
        expect.set_options(timeout=SHOWN_WITHIN_MS)
        yield context.new_page()


def tool(node: Node, name: str, *args: str) -> list[str]:
    paths = {"tsc": "typescript/bin/tsc", "vite": "vite/bin/vite.js"}
    return node.command(WEB / "node_modules" / paths[name], *args)


@contextmanager
def served(node: Node, service_url: str, folder: Path) -> Iterator[str]:
    """Build the page into *folder* and serve it beside the service; yield its address."""
    environ = without_proxies() | {"FANFOLD_URL": service_url}
    where = ["--outDir", str(folder), "--logLevel", "warn"]
    build = tool(node, "vite", "build", *where)
    built = subprocess.run(build, cwd=WEB, env=environ, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    port = free_port()
    listen = ["--host", "127.0.0.1", "--port", str(port), "--strictPort"]
    with subprocess.Popen(
        tool(node, "vite", "preview", *where, *listen), cwd=WEB, env=environ
    ) as server:
        try:
            eventually(lambda: answers(url_of(port)), within_s=20)
            yield url_of(port)
        finally:
            server.kill()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_its_types_hold(node: Node) -> None:
    checked = subprocess.run(
        tool(node, "tsc", "--noEmit"), cwd=WEB, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout


def test_a_job_is_submitted_followed_and_its_rows_shown(
    node: Node, page: Page, service: RunningService, tmp_path: Path
) -> None:
    complaints: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    with served(node, service.url, tmp_path / "page") as url:
        page.goto(url)
        for name in PANELS:
            panel = page.get_by_role("region", name=name)
            panel.get_by_label("Lines").fill("to be or\nnot to be")
            panel.get_by_role("button", name="Count the words").click()

            expect(panel.locator("output")).to_have_text("SUCCEEDED")
            rows = panel.get_by_role("row")
            expect(rows).to_have_count(1 + 4)
            assert {*rows.all_inner_texts()} == {"key\tvalue", "be\t2", "not\t1", "or\t1", "to\t2"}

    assert complaints == []
    assert all(each.startswith((url, "data:")) for each in asked)


def test_what_the_service_refuses_is_shown(
    node: Node, page: Page, service: RunningService, tmp_path: Path
) -> None:
    with served(node, service.url, tmp_path / "page") as url:
        page.goto(f"{url}/?job=j-0")
        for name in PANELS:
            panel = page.get_by_role("region", name=name)

            expect(panel.get_by_role("alert")).to_have_text(re.compile("j-0"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that wants to know who calls."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = {"FANFOLD_AUTH": "keys", "FANFOLD_SQL": "off"}
    port = free_port()
    with running_service(folder / "data", folder, port=port, workers=1, settings=settings) as it:
        yield it


def test_a_viewer_token_behind_the_address_lets_the_page_read_its_job(
    node: Node, page: Page, tmp_path: Path, guarded: RunningService
) -> None:
    with served(node, guarded.url, tmp_path / "page") as url:
        environ = {"FANFOLD_DATA_DIR": str(guarded.data_dir)}
        key = fanfold("key", "create", "--tenant", "acme", environ=environ).stdout.strip()
        words = ["submit", "wordcount", "-", "--token", key]
        job = guarded.fanfold(*words, stdin="to be or not to be\n").stdout.strip()
        shared = guarded.fanfold("share", job, "--json", "--token", key).stdout

        page.goto(f"{url}/?job={job}#token={json.loads(shared)['token']}")
        for name in PANELS:
            panel = page.get_by_role("region", name=name)
            expect(panel.locator("output")).to_have_text("SUCCEEDED")
            expect(panel.get_by_role("row")).to_have_count(1 + 4)

        page.goto("about:blank")
        page.goto(f"{url}/?job={job}#token=wrong")
        for name in PANELS:
            alert = page.get_by_role("region", name=name).get_by_role("alert")
            expect(alert).to_have_text(re.compile("4403 Forbidden"))


def test_a_token_that_is_revoked_ends_what_follows_and_another_one_begins_it_anew(
    node: Node, page: Page, tmp_path: Path, guarded: RunningService
) -> None:
    environ = {"FANFOLD_DATA_DIR": str(guarded.data_dir)}
    make = ("key", "create", "--tenant", "revoked")
    first, second = (fanfold(*make, environ=environ).stdout.strip() for _ in range(2))
    job = submit_crowd(guarded.url, tmp_path, token=first)
    with served(node, guarded.url, tmp_path / "page") as url:
        page.goto(f"{url}/?job={job}#token={first}")
        panels = [page.get_by_role("region", name=name) for name in PANELS]
        for panel in panels:
            expect(panel.locator("output")).to_have_text(re.compile("QUEUED|RUNNING"))

        fanfold("key", "revoke", key_id_of(first), environ=environ)
        for panel in panels:
            expect(panel.get_by_role("alert")).to_have_text(re.compile("4403"))
        expect(page.get_by_text("The service is away")).to_be_hidden()

        page.goto(f"{url}/?job={job}#token={second}")
        (tmp_path / "all.go").touch()
        for panel in panels:
            expect(panel.locator("output")).to_have_text("SUCCEEDED")


def key_id_of(secret: str) -> str:
    """Return the id that a key holds, as ``fanfold key list`` shows it."""
    return secret.split("_")[1]


@pytest.mark.timeout(150)
def test_both_go_on_over_restarts_to_the_end(node: Node, page: Page, tmp_path: Path) -> None:
    with (
        cluster_in(tmp_path) as cluster,
        served(node, cluster.url, tmp_path / "page") as url,
    ):
        job = submit_crowd(cluster.url, tmp_path)
        page.goto(f"{url}/?job={job}")
        panels = [page.get_by_role("region", name=name) for name in PANELS]
        away = page.get_by_text("The service is away")
        for panel in panels:
            expect(panel.locator("output")).to_have_text(re.compile("QUEUED|RUNNING"))

        for how, name in ((signal.SIGTERM, "ada"), (signal.SIGKILL, "all")):
            cluster.end(how)
            expect(away).to_be_visible()
            (tmp_path / f"{name}.go").touch()
            cluster.start()
            expect(away).to_be_hidden()

        for panel in panels:
            expect(panel.locator("output")).to_have_text("SUCCEEDED")
            expect(panel.get_by_role("row")).to_have_count(1 + 2)


def submit_crowd(url: str, folder: Path, *, token: str | None = None) -> str:
    """Submit a job of two items that wait for leave, and return its id."""
    job = {
        "program": "crowd",
        "params": {"folder": str(folder)},
        "source": {"inline": ["ada", "bob"]},
        "batching": {"maxItems": 1},
    }
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.post(f"{url}/jobs", json=job, headers=headers, trust_env=False)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["id"])
