"""Submit a job, follow it, print its rows: over REST, with httpx alone.

    python -m examples.python.rest http://127.0.0.1:8000 'to be or not to be'

FANFOLD_TOKEN says who asks.
"""

# ruff: noqa: T201 - printing is what it is for

from __future__ import annotations

import os
import random
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

import httpx

WAIT_MS: Final = 20_000


class Jobs:
    """Jobs of one service. Requests are repeated while it is away, if it was there before."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._was_there = False

    def submit(self, job: dict[str, Any]) -> str:
        """Submit a job and return its id; the key makes repeating it safe."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        accepted = self._ask("POST", "/jobs", json=job, headers=headers)
        return str(accepted.json()["id"])

    def follow(self, job: str) -> Iterator[dict[str, Any]]:
        """Yield a job's states, each newer than the one before, the terminal one last.

        Each request waits until there is a state other than the one that is known.
        """
        etag = '"0"'
        while True:
            headers = {"If-None-Match": etag}
            answer = self._ask("GET", f"/jobs/{job}?waitMs={WAIT_MS}", headers=headers)
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                etag = answer.headers["ETag"]
                yield answer.json()
            if answer.status_code == httpx.codes.OK:
                return

    def rows(self, job: str) -> list[dict[str, Any]]:
        """Return the rows of a job that has succeeded, if they are few."""
        answer = self._ask("GET", f"/jobs/{job}/result")
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"the result is in files: {answer.headers['Location']}")
        rows: list[dict[str, Any]] = answer.json()
        return rows

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer; the service's own words are in what is raised when it refuses."""
        pause_s = 0.1
        while True:
            try:
                answer = self._http.request(method, path, **request)
            except httpx.TransportError:
                if not self._was_there:
                    raise
                is_away = True
            else:
                self._was_there = True
                is_away = answer.status_code in (502, 503, 504)
                if answer.is_client_error or (answer.is_server_error and not is_away):
                    raise ValueError(f"{answer.status_code}: {answer.text}")
                if not is_away:
                    return answer
            time.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, 5)


def main(address: str, *lines: str) -> int:
    token = os.environ.get("FANFOLD_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=address, headers=headers, timeout=2 * WAIT_MS / 1_000) as http:
        jobs = Jobs(http)
        job = jobs.submit({"program": "wordcount", "source": {"inline": lines}})
        print(job)
        state = "QUEUED"
        for status in jobs.follow(job):
            state = status["state"]
            tasks = status["map"]
            print(f"{state}  map {tasks['succeeded']}/{tasks['total']}")
        if state != "SUCCEEDED":
            return 1
        for row in jobs.rows(job):
            print(row["key"], row["value"])
        return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python -m examples.python.rest ADDRESS LINE...")
    try:
        sys.exit(main(*sys.argv[1:]))
    except (httpx.TransportError, ValueError) as exc:
        sys.exit(f"{sys.argv[1]}: {exc}")
