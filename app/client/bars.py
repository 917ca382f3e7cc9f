"""Drawing a job while it runs: live bars on a terminal, plain lines in a pipe.

Both end with a summary line. ``Drawing`` values are context managers; nothing is drawn outside.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from app.client.amounts import counted, duration_text, printable, seconds_between, size_text
from app.client.errors import has_ended

_LINE_EVERY_S: Final = 1.0
_BAR_WIDTH: Final = 28
_SHORTEST_BAR: Final = 8
_BESIDE_BAR: Final = 52
_STYLES: Final = {
    "SUCCEEDED": "bold green",
    "PARTIALLY_SUCCEEDED": "bold yellow",
    "FAILED": "bold red",
    "TIMED_OUT": "bold red",
    "CANCELLED": "bold yellow",
    "CANCELLING": "yellow",
}


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


def state_style(state: str) -> str:
    """Return the rich style of a job's state."""
    return _STYLES.get(state, "cyan")


def state_text(state: str) -> str:
    """Return a state for people, such as ``timed out``."""
    return state.replace("_", " ").lower()


def title_of(job: dict[str, Any]) -> str:
    """Return a job's name, or that of its program."""
    return printable(job["name"] or (job["program"] or {}).get("name", "sql"))


def begun_at(job: dict[str, Any]) -> str:
    """Return when a job's present run began; the first one begins with the job."""
    created: str = job["createdAt"]
    started: str | None = job["startedAt"]
    return created if started is None or job["status"]["run"] == 1 else started


def summary(status: dict[str, Any], *, created_at: str) -> str:
    """Return the one line that says how a job ended."""
    seconds = seconds_between(created_at, status["updatedAt"])
    verb = "in" if status["state"] in ("SUCCEEDED", "PARTIALLY_SUCCEEDED") else "after"
    head = f"{state_text(status['state'])} {verb} {duration_text(seconds)}"
    mapped, reduced = status["map"]["succeeded"], status["reduce"]["succeeded"]
    tasks = f"{mapped:,} map and {counted(reduced, 'reduce task')}"
    facts = [tasks if reduced else counted(mapped, "map task")]
    if status["bytesRead"]:
        facts.append(size_text(status["bytesRead"]))
    if status["resultRows"] is not None:
        facts.append(counted(status["resultRows"], "row"))
    if status["items"]["failed"]:
        facts.append(f"{counted(status['items']['failed'], 'item')} failed")
    line = f"{head}: {', '.join(facts)}"
    error = status["error"]
    if error:
        task = f" ({error['taskId']})" if error.get("taskId") else ""
        line = f"{head}: {error['code']}{task}: {printable(error['message'])}"
    elif status["message"] and not status["state"].endswith("SUCCEEDED"):
        line = f"{head}: {printable(status['message'])}"
    return line


def failed_text(status: dict[str, Any]) -> str | None:
    """Return how many items of an ended job failed; None when none did."""
    failed, total = status["items"]["failed"], status["items"]["total"]
    if not failed:
        return None
    return f"{failed:,} of {counted(total, 'item')} failed" if total else f"{failed:,} failed"


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


def progress_line(status: dict[str, Any]) -> str:
    """Return a running job's state and counts in one line."""
    parts = [f"{state_text(status['state'])}, {status['phase'].lower()}"]
    for phase in ("map", "reduce"):
        if status[phase]["total"] is not None:
            parts.append(f"{phase} {status[phase]['succeeded']}/{status[phase]['total']}")
    if status["items"]["failed"]:
        parts.append(f"{counted(status['items']['failed'], 'item')} failed")
    if status["bytesTotal"]:
        parts.append(f"{size_text(status['bytesRead'])} of {size_text(status['bytesTotal'])}")
    return "  ".join(parts)


class Bars:
    """Two bars and a line above them, redrawn in place."""

    def __init__(self, job: dict[str, Any], out: Console) -> None:
        self._job = job
        self._out = out
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(
                bar_width=min(28, max(out.width - 52, 8)),
                complete_style="cyan",
                finished_style="green",
            ),
            TextColumn("{task.fields[count]:>9}"),
            TextColumn("{task.fields[detail]}", style="dim"),
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
        if not self._problem:
            return Group(head, self._progress)
        return Group(head, Text(f"  {self._problem}; trying again", "yellow"), self._progress)

    def _draw(self, bar: Any, counts: dict[str, Any], *, detail: str) -> None:
        total = counts["total"]
        # No work to do is work that is done; a job that ended without a plan stands still.
        known = 0 if total is None and has_ended(self._state) else total
        if known == 0:
            done, known = 1, 1
        else:
            done = counts["succeeded"]
        retried = f"{counts['retried']} retried" if counts["retried"] else ""
        self._progress.update(
            bar,
            total=known,
            completed=done,
            count="" if total is None else f"{counts['succeeded']}/{total}",
            detail="   ".join(filter(None, (detail, retried))),
        )


def read_text(base: dict[str, Any], now: dict[str, Any]) -> str:
    """Return what has been read, with the mean rate since *base* until all is read."""
    size, total = now["bytesRead"], now["bytesTotal"]
    if not total:
        return ""
    if size == total or has_ended(now["state"]):
        return size_text(size)
    rate = _rate(base, now, size - base["bytesRead"])
    return f"{size_text(size)} of {size_text(total)}" + (f"   {size_text(rate)}/s" if rate else "")


def items_text(base: dict[str, Any], now: dict[str, Any]) -> str:
    """Return how many items are done, as ``read_text`` does for bytes."""
    done, total = now["items"]["succeeded"], now["items"]["total"]
    if not total:
        return ""
    if done == total or has_ended(now["state"]):
        return counted(done, "item")
    rate = _rate(base, now, done - base["items"]["succeeded"])
    return f"{done:,} of {counted(total, 'item')}" + (f"   {rate:,.3g}/s" if rate else "")


def _rate(base: dict[str, Any], now: dict[str, Any], amount: float) -> float:
    seconds = seconds_between(base["updatedAt"], now["updatedAt"])
    return amount / seconds if seconds > 0 else 0


def _write(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)
    console.file.flush()
