"""Drawing a job while it runs: live bars on a terminal, plain lines in a pipe.

Both end with a summary line. ``Drawing`` values are context managers; nothing is drawn outside.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from app.client.amounts import counted, duration_text
from app.client.errors import has_ended
from app.client.so_far import so_far_head, so_far_table
from app.client.states import (
    items_text,
    progress_line,
    read_text,
    state_style,
    state_text,
    summary,
    title_of,
)

_LINE_EVERY_S: Final = 1.0
_BAR_WIDTH: Final = 28
_SHORTEST_BAR: Final = 8
_BESIDE_BAR: Final = 52
_LEAST_BESIDE_BAR: Final = 11
"""What stands left of a bar, and the gaps."""
_SHORTEST_COUNT: Final = 9
_GAP: Final = "   "


class Drawing(Protocol):
    """Shows the states of one job. Not promised: that every state is seen."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, status: dict[str, Any]) -> None:
        """Show a newer JobStatus; the terminal one is shown as a summary."""
        ...

    def connection(self, problem: str | None) -> None:
        """Show that the service is away, or with None that it is back."""
        ...


class Lines:
    """The job's id, a line for every new state or phase, and now and then one for the counts."""

    def __init__(
        self, job: dict[str, Any], out: Console, err: Console, *, only_end: bool = False
    ) -> None:
        """Prepare.

        Args:
            job: The job with ``id``, ``name``, ``program`` and ``createdAt``.
            out: Where lines go.
            err: Where lines about the connection go.
            only_end: Leave out everything between the id and the summary.
        """
        self._job = job
        self._out = out
        self._err = err
        self._only_end = only_end
        self._stage: tuple[str, str] | None = None
        self._next_line_at = 0.0

    def __enter__(self) -> Self:
        _write(self._out, f"{self._job['id']}  {title_of(self._job)}")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def show(self, status: dict[str, Any]) -> None:
        """Write a line, unless one was written just now and nothing but counts has changed."""
        if has_ended(status["state"]):
            _write(self._out, summary(status, created_at=self._job["createdAt"]))
            return
        stage = (status["state"], status["phase"])
        is_news = stage != self._stage or time.monotonic() > self._next_line_at
        if self._only_end or not is_news:
            return
        self._stage = stage
        self._next_line_at = time.monotonic() + _LINE_EVERY_S
        _write(self._out, progress_line(status))

    def connection(self, problem: str | None) -> None:
        """Write a line to the side."""
        _write(self._err, f"{problem}; trying again" if problem else "connected again")


class Bars:
    """Two bars and a line above them, redrawn in place."""

    def __init__(self, job: dict[str, Any], out: Console) -> None:
        self._job = job
        self._out = out
        self._bar_width = min(_BAR_WIDTH, max(out.width - _BESIDE_BAR, _SHORTEST_BAR))
        self._progress = Progress(
            TextColumn("  {task.description}", table_column=Column(min_width=8, no_wrap=True)),
            BarColumn(bar_width=self._bar_width, complete_style="cyan", finished_style="green"),
            TextColumn(
                f"{{task.fields[count]:>{_SHORTEST_COUNT}}}",
                table_column=Column(min_width=_SHORTEST_COUNT, no_wrap=True),
            ),
            TextColumn("{task.fields[detail]}", style="dim", table_column=Column(no_wrap=True)),
            console=out,
        )
        self._map = self._progress.add_task("map   ", total=None, count="", detail="")
        self._reduce = self._progress.add_task("reduce", total=None, count="", detail="")
        self._state = "QUEUED"
        self._phase = "PENDING"
        self._problem: str | None = None
        self._failed = 0
        self._eta_s: float | None = None
        self._base: dict[str, Any] | None = None
        self._so_far: Group | None = None
        # Redrawn at our word, and often enough in between for the pulse of an unknown total.
        self._live = Live(
            get_renderable=self._picture, console=out, refresh_per_second=12, transient=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, status: dict[str, Any]) -> None:
        """Draw the counts anew; a summary goes below when the job has ended."""
        self._state, self._phase = status["state"], status["phase"]
        self._eta_s = status["etaSeconds"]
        if self._base is None or not (self._base["bytesRead"] or status["items"]["succeeded"]):
            self._base = status
        self._failed = status["items"]["failed"]
        self._so_far = self._drawn_so_far(status)
        done = read_text(self._base, status) or items_text(self._base, status)
        self._draw(self._map, status["map"], detail=done)
        self._draw(self._reduce, status["reduce"], detail="")
        self._live.refresh()
        if has_ended(self._state):
            self._live.stop()
            line = summary(status, created_at=self._job["createdAt"])
            self._out.print(Text(f"  {line}", style=state_style(self._state)))

    def connection(self, problem: str | None) -> None:
        """Put the problem into the line above the bars, or take it away."""
        self._problem = problem
        self._live.refresh()

    def _picture(self) -> Group:
        head = Text(f"{title_of(self._job)}  ", style="bold")
        head.append(state_text(self._state), style=state_style(self._state))
        if not has_ended(self._state):
            head.append(f", {self._phase.lower()}", style="dim")
            if self._eta_s is not None:
                head.append(f", {duration_text(self._eta_s)} left", style="dim")
        if self._failed:
            head.append(f", {counted(self._failed, 'item')} failed", style="yellow")
        head.append(f"  {self._job['id']}", style="dim")
        problem = Text(f"  {self._problem}; trying again", "yellow") if self._problem else None
        parts = (head, problem, self._progress, self._so_far)
        return Group(*(part for part in parts if part is not None))

    def _drawn_so_far(self, status: dict[str, Any]) -> Group | None:
        """Return the answer so far; None for a job that has none, or has its result."""
        rows = status.get("partial")
        if not rows or has_ended(self._state):
            return None
        table = so_far_table(rows, width=self._out.width - 2, height=self._out.height)
        return Group(Text(f"\n  {so_far_head(status)}", "dim"), Padding(table, (0, 0, 0, 2)))

    def _draw(self, bar: Any, counts: dict[str, Any], *, detail: str) -> None:
        total = counts["total"]
        # No work to do is work that is done; a job that ended without a plan stands still.
        known = 0 if total is None and has_ended(self._state) else total
        if known == 0:
            done, known = 1, 1
        else:
            done = counts["succeeded"]
        retried = f"{counts['retried']} retried" if counts["retried"] else ""
        count = "" if total is None else f"{counts['succeeded']}/{total}"
        left_of_it = _LEAST_BESIDE_BAR + self._bar_width + max(len(count), _SHORTEST_COUNT)
        self._progress.update(
            bar,
            total=known,
            completed=done,
            count=count,
            detail=_fitting(
                _GAP.join(filter(None, (detail, retried))), width=self._out.width - left_of_it
            ),
        )


def _fitting(detail: str, *, width: int) -> str:
    """Return as many figures of a detail, from the first, as stand in *width* whole."""
    while len(detail) > max(width, 0):
        detail = detail.rpartition(_GAP)[0]
    return detail


def _write(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)
    console.file.flush()
