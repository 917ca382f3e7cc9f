"""A job's state in words: how it stands, how fast it goes, how it ended."""

from __future__ import annotations

from typing import Any, Final

from app.client.amounts import counted, duration_text, printable, seconds_between, size_text
from app.client.errors import has_ended
from app.client.so_far import so_far_head

_STYLES: Final = {
    "SUCCEEDED": "bold green",
    "PARTIALLY_SUCCEEDED": "bold yellow",
    "FAILED": "bold red",
    "TIMED_OUT": "bold red",
    "CANCELLED": "bold yellow",
    "CANCELLING": "yellow",
}


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
    if status.get("partial"):
        parts.append(so_far_head(status))
    return "  ".join(parts)


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
