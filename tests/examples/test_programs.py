"""The programs of ``examples/programs``, run by the command as a reader would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.running import RunningService, free_port


class Pages(BaseHTTPRequestHandler):
    """Answers with the status that the path names; ``/busy`` first with 503, then with 200."""

    busy = threading.Event()

    def do_HEAD(self) -> None:
        if self.path == "/busy":
            status = 200 if self.busy.is_set() else 503
            self.busy.set()
        else:
            status = int(self.path.removeprefix("/"))
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def pages() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def rows_of(service: RunningService, *words: str, stdin: str | None = None) -> list[dict[str, Any]]:
    done = service.fanfold("submit", *words, "--json", "--wait", stdin=stdin)
    assert done.returncode == 0, done.stdout + done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)["result"]
    return rows


def test_a_log_is_counted_by_hour_and_status(service: RunningService) -> None:
    rows = rows_of(service, "access_log", "access.log", "--param", "atLeast=300")

    ten = "2026-11-20T10:00+0000"
    assert rows == [
        {"hour": ten, "status": 304, "requests": 1, "bytes": 0},
        {"hour": ten, "status": 404, "requests": 1, "bytes": 150},
        {"hour": ten, "status": 500, "requests": 2, "bytes": 190},
    ]


def test_addresses_are_asked_side_by_side_and_a_busy_server_again(service: RunningService) -> None:
    with pages() as server:
        nobody = f"http://127.0.0.1:{free_port()}/"
        urls = [f"{server}/{page}" for page in ("200", "204", "404", "busy")]

        rows = rows_of(service, "link_check", "-", stdin="\n".join([*urls, nobody]))

    assert {row["answer"]: row["urls"] for row in rows} == {
        "200": [f"{server}/200", f"{server}/busy"],
        "204": [f"{server}/204"],
        "404": [f"{server}/404"],
        "ConnectError": [nobody],
    }


def test_what_is_no_address_ends_the_job_and_is_named(service: RunningService) -> None:
    done = service.fanfold("submit", "link_check", "-", "--wait", stdin="gopher://old\n")

    assert done.returncode == 1
    assert "'gopher://old' is no address" in done.stdout


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (
            ["revenue", "orders.csv", "--param", "since=2026-02-01"],
            [
                {"country": "DE", "orders": 2, "revenue": 509.9},
                {"country": "FR", "orders": 2, "revenue": 245.75},
                {"country": "NO", "orders": 2, "revenue": 92.25},
            ],
        ),
        (
            ["best_customers", "orders.csv", "--param", "top=2"],
            [
                {"customer": "cyd", "spent": 410.0, "orders": 1},
                {"customer": "eve", "spent": 230.0, "orders": 1},
            ],
        ),
    ],
)
def test_both_forms_of_sql_give_their_rows(
    service: RunningService, words: list[str], rows: list[dict[str, Any]]
) -> None:
    assert rows_of(service, *words) == rows


def test_columns_give_each_sensor_its_mean_and_extremes(service: RunningService) -> None:
    assert rows_of(service, "sensors", "sensors.csv") == [
        {"sensor": "cellar", "mean": 11.833, "min": 11.5, "max": 12.25},
        {"sensor": "roof", "mean": 0.625, "min": -2.25, "max": 3.5},
    ]
