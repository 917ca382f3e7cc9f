"""Rows, jobs and states as text."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from app.client.amounts import age_text, duration_text, printable, size_text
from app.client.bars import Bars, Lines
from app.client.cells import json_line
from app.client.states import (
    begun_at,
    failed_text,
    items_text,
    progress_line,
    read_text,
    summary,
)
from app.client.tables import (
    bar_text,
    csv_lines,
    failures_table,
    jobs_table,
    ranking_table,
    rows_table,
)

CREATED = "2025-01-01T12:00:00+00:00"


def counts(total: int | None, succeeded: int = 0) -> dict[str, Any]:
    return {
        "total": total,
        "pending": (total or 0) - succeeded,
        "running": 0,
        "succeeded": succeeded,
        "failed": 0,
        "skipped": 0,
        "retried": 0,
    }


def status_of(state: str = "RUNNING", **changes: Any) -> dict[str, Any]:
    return {
        "id": "j-1",
        "version": 7,
        "run": 1,
        "state": state,
        "phase": "MAP",
        "ratio": 0.4,
        "etaSeconds": 3.0,
        "items": counts(None),
        "map": counts(10, 4),
        "reduce": counts(None),
        "bytesRead": 4_000_000.0,
        "bytesTotal": 10_000_000.0,
        "resultRows": None,
        "resultBytes": None,
        "error": None,
        "message": None,
        "updatedAt": "2025-01-01T12:00:02+00:00",
    } | changes


def job_of(**changes: Any) -> dict[str, Any]:
    job = {"id": "j-1", "name": None, "program": {"name": "wordcount"}, "createdAt": CREATED}
    return job | {"status": status_of()} | changes


def shown(table: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(table)
    return out.getvalue()


def drawn(*states: dict[str, Any], is_terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=120)
    side = Console(file=io.StringIO())
    job = job_of()
    with Bars(job, console) if is_terminal else Lines(job, console, side) as drawing:
        for state in states:
            drawing.show(state)
    return out.getvalue()


@given(st.lists(st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]))))
def test_csv_gives_every_text_back(texts: list[str]) -> None:
    lines = csv_lines(["key", "n"], [{"key": text, "n": 1} for text in texts], header=True)

    rows = list(csv.reader(io.StringIO(lines, newline="")))
    assert rows == [["key", "n"], *([text, "1"] for text in texts)]


def test_csv_leaves_null_empty_and_writes_nested_values_as_json() -> None:
    row = {"a": None, "b": True, "c": [1, {"d": "é"}], "e": 1.5}

    assert csv_lines("abcex", [row], header=False) == ',true,"[1,{""d"":""é""}]",1.5,\n'


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_a_json_line_is_one_line(value: object) -> None:
    line = json_line(value)

    assert "\n" not in line
    assert json.loads(line) == value


def test_a_table_shows_every_cell_and_obeys_none() -> None:
    row = {"key": "\x1b[31mred\x1b[0m", "value": 1_000, "note": "[bold]x[/bold]"}

    text = shown(rows_table(["key", "value", "note"], [row]))

    assert "\x1b" not in text
    assert "\\x1b[31mred" in text
    assert "1000" in text
    assert "[bold]x[/bold]" in text


def test_a_table_of_no_rows_has_its_columns() -> None:
    assert "value" in shown(rows_table(["key", "value"], []))


def test_a_job_is_listed_with_its_program_or_its_name() -> None:
    now = datetime(2025, 1, 1, 12, 5, tzinfo=UTC)

    text = shown(jobs_table([job_of(), job_of(name="my words")], now=now, width=100))

    assert "wordcount" in text
    assert "my words" in text
    assert "running" in text
    assert "40%" in text
    assert "5 min" in text


def test_a_list_of_jobs_keeps_whole_ids_on_a_narrow_terminal() -> None:
    job = job_of(id="j-1a1fe07e1865339a951072ac4b9e8d8", name="a rather long name of a job")
    job["status"] |= {"state": "PARTIALLY_SUCCEEDED", "ratio": 1.0, "resultRows": 1_000_000.0}
    out = io.StringIO()
    now = datetime(2025, 1, 1, 12, 5, tzinfo=UTC)

    Console(file=out, width=80).print(jobs_table([job], now=now, width=80))
    Console(file=out, width=60).print(jobs_table([job], now=now, width=60))

    row, narrow = (line for line in out.getvalue().splitlines() if line.startswith("j-"))
    assert row.startswith(f"{job['id']}  a rather")
    assert row.split()[-5:] == ["partial", "100%", "1,000,000", "5", "min"]
    assert narrow.split()[0] == job["id"]
    assert narrow.split()[-1] == "partial"


def test_a_summary_says_how_long_it_took_and_what_came_out() -> None:
    end = status_of("SUCCEEDED", map=counts(10, 10), reduce=counts(2, 2), resultRows=20.0)

    assert summary(end, created_at=CREATED) == (
        "succeeded in 2.00 s: 10 map and 2 reduce tasks, 4.0 MB, 20 rows"
    )


def test_a_summary_of_a_partial_job_counts_what_is_missing() -> None:
    items = counts(10_000, 9_997) | {"failed": 3}
    end = status_of("PARTIALLY_SUCCEEDED", items=items, resultRows=20.0)

    assert summary(end, created_at=CREATED) == (
        "partially succeeded in 2.00 s: 4 map tasks, 4.0 MB, 20 rows, 3 items failed"
    )
    assert failed_text(end) == "3 of 10,000 items failed"


def test_a_further_run_is_timed_by_itself() -> None:
    later = "2025-01-02T12:00:00+00:00"

    assert begun_at(job_of(startedAt=later)) == CREATED
    assert begun_at(job_of(startedAt=later, status=status_of(run=2))) == later
    assert begun_at(job_of(startedAt=None, status=status_of(run=2))) == CREATED


def test_nothing_is_said_of_failed_items_where_there_are_none() -> None:
    assert failed_text(status_of("SUCCEEDED")) is None
    assert failed_text(status_of("FAILED", items=counts(None) | {"failed": 2})) == "2 failed"


def test_failed_items_are_counted_while_a_job_runs() -> None:
    running = status_of(items=counts(9, 4) | {"failed": 1})

    assert progress_line(running) == "running, map  map 4/10  1 item failed  4.0 MB of 10.0 MB"
    assert "1 item failed" in drawn(running, is_terminal=True)


def test_failures_are_listed_with_place_reason_and_item() -> None:
    error = {"code": "USER_CODE", "message": "boom\x07"}
    failure = {"location": "a.txt, byte 7", "preview": "x" * 500, "error": error}

    text = shown(failures_table([failure]))

    assert "a.txt, byte 7" in text
    assert "USER_CODE: boom\\x07" in text
    assert "x" * 80 + "…" in text
    assert "x" * 81 not in text


def test_a_summary_of_a_failure_says_why() -> None:
    error = {"code": "USER_CODE", "message": "boom\x07", "retryable": True, "taskId": "map-3"}

    assert summary(status_of("FAILED", error=error), created_at=CREATED) == (
        "failed after 2.00 s: USER_CODE (map-3): boom\\x07"
    )


def test_a_summary_of_a_cancelled_job_gives_the_reason() -> None:
    end = status_of("CANCELLED", message="no longer needed")

    assert summary(end, created_at=CREATED) == "cancelled after 2.00 s: no longer needed"


def test_a_pipe_gets_a_line_for_every_phase_and_no_more() -> None:
    text = drawn(
        status_of(),
        status_of(version=8, map=counts(10, 5)),
        status_of(version=9, phase="REDUCE", map=counts(10, 10), reduce=counts(2, 0)),
        status_of("SUCCEEDED", resultRows=1.0),
        is_terminal=False,
    )

    assert text.splitlines() == [
        "j-1  wordcount",
        "running, map  map 4/10  4.0 MB of 10.0 MB",
        "running, reduce  map 10/10  reduce 0/2  4.0 MB of 10.0 MB",
        "succeeded in 2.00 s: 4 map tasks, 4.0 MB, 1 row",
    ]


def test_a_terminal_gets_bars_and_the_summary() -> None:
    text = drawn(status_of(), status_of("SUCCEEDED", map=counts(10, 10)), is_terminal=True)

    assert "wordcount" in text
    assert "10/10" in text
    assert "━" in text
    assert "succeeded in 2.00 s" in text


@pytest.mark.parametrize("total", [None, 0, 3])
def test_bars_can_draw_a_job_that_has_no_plan(total: int | None) -> None:
    states = [status_of(map=counts(total), bytesTotal=None), status_of("FAILED")]

    assert "failed" in drawn(*states, is_terminal=True)


def test_a_queued_job_has_a_line_too() -> None:
    queued = status_of("QUEUED", phase="PENDING", map=counts(None), bytesTotal=None)

    assert progress_line(queued) == "queued, pending"


def test_the_rate_is_the_mean_since_reading_began() -> None:
    base = status_of(bytesRead=1_000.0, updatedAt=CREATED)

    assert read_text(base, base) == "1.0 kB of 10.0 MB"
    assert read_text(base, status_of(bytesRead=5_000.0)) == "5.0 kB of 10.0 MB   2.0 kB/s"
    assert read_text(base, status_of(bytesRead=10_000_000.0)) == "10.0 MB"
    assert read_text(base, status_of(bytesTotal=None)) == ""


def test_what_has_no_bytes_is_told_in_items() -> None:
    base = status_of(items=counts(30), updatedAt=CREATED)

    assert items_text(base, base) == "0 of 30 items"
    assert items_text(base, status_of(items=counts(30, 15))) == "15 of 30 items   7.5/s"
    assert items_text(base, status_of(items=counts(30, 30))) == "30 items"
    assert items_text(base, status_of(items=counts(None))) == ""


def test_a_connection_that_is_lost_is_shown_until_it_is_there_again() -> None:
    out = io.StringIO()
    with Bars(job_of(), Console(file=out, force_terminal=True, width=80)) as bars:
        bars.show(status_of())
        bars.connection("no connection")
        assert "no connection; trying again" in out.getvalue()
        out.truncate(0)

        bars.connection(None)
        bars.show(status_of("SUCCEEDED"))

    assert "trying again" not in out.getvalue()


def test_the_answer_so_far_is_shown_until_there_is_a_result() -> None:
    rows = [{"word": f"w{number}\x1b[31m", "n": number} for number in range(100)]
    running = status_of(partial=rows, coverage=0.43)
    end = status_of("SUCCEEDED", partial=None, coverage=None)

    live = drawn(running, end, is_terminal=True)
    piped = drawn(running, end, is_terminal=False)

    assert "so far 100 rows, from 43% of the input" in live
    assert "so far 100 rows, from 43% of the input" in piped
    assert "w1\\x1b[31m" in live
    assert "w99" not in live
    assert "so far" not in live.rpartition("succeeded in")[2]


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80])
def test_figures_stand_whole_or_not_at_all_however_narrow_a_terminal_is(width: int) -> None:
    rows = [{"customer": "x" * 40, "spent": 123456789012.25, "orders": 100_001, "days": 12_345_678}]
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=30, color_system=None)

    with Bars(job_of(), console) as bars:
        bars.show(status_of(updatedAt=CREATED))
        later = counts(12_345, 4_567) | {"retried": 3}
        bars.show(status_of(map=later, bytesRead=5e6, partial=rows, coverage=0.3))

    *_, picture = out.getvalue().split("wordcount")
    words = set(picture.split())
    assert {"4567/12345", "123456789012.25"} <= words
    assert {each for each in words if each[0].isdigit()} <= {
        *("4567/12345", "5.0", "10.0", "500.0", "3", "123456789012.25", "100001", "12345678"),
        *("3.00", "30%", "1"),
    }
    assert ("12345678" in words) is (width >= 50)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (31_525_224, "31.5 MB"), (2e15, "2000.0 TB")],
)
def test_sizes_are_decimal(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 ms"), (0.84, "840 ms"), (1.416, "1.42 s"), (42.3, "42.3 s"), (187, "3:07")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_hours_have_their_place() -> None:
    assert duration_text(2 * 3600 + 3 * 60 + 7) == "2:03:07"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (59, "59 s"), (300, "5 min"), (7200, "2 h"), (9e5, "10 d")]
)
def test_ages_are_coarse(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@given(st.text())
def test_printable_text_is_printable(text: str) -> None:
    assert printable(text).isprintable()


@given(st.floats(0, 1))
def test_a_bar_is_as_long_as_its_share(share: float) -> None:
    assert abs(len(bar_text(share, width=40)) - share * 40) <= 1


def test_the_first_word_has_the_longest_bar() -> None:
    text = shown(ranking_table([{"key": "=", "value": 200}, {"key": "[red]", "value": 50}]))

    assert "█" * 40 in text
    assert "[red]" in text


def test_no_words_make_no_bars() -> None:
    assert "█" not in shown(ranking_table([]))
