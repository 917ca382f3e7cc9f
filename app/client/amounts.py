"""Sizes, times and foreign text as people read them."""

from __future__ import annotations

from datetime import datetime

_STEP = 1000


def size_text(size_bytes: float) -> str:
    """Return a size in decimal units, such as ``31.5 MB``."""
    if size_bytes < _STEP:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= _STEP
        if size_bytes < _STEP:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / _STEP:.1f} TB"


def duration_text(seconds: float) -> str:
    """Return a duration, such as ``840 ms``, ``1.42 s``, ``3:07`` or ``2:03:07``."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def age_text(seconds: float) -> str:
    """Return how long ago something was, such as ``12 s``, ``5 min``, ``3 h`` or ``8 d``."""
    amount = max(seconds, 0)
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if amount >= size_s:
            return f"{amount // size_s:.0f} {unit}"
    return f"{amount:.0f} s"


def local_time_text(instant: str) -> str:
    """Return an RFC 3339 instant in this machine's time zone, such as ``2026-01-31 09:05``."""
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M}"


def counted(count: float, noun: str) -> str:
    """Return a count with its noun, such as ``1 row`` or ``2,011 rows``."""
    return f"{count:,.0f} {noun}" if count == 1 else f"{count:,.0f} {noun}s"


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one RFC 3339 instant to another."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def printable(text: str) -> str:
    """Return *text* with everything escaped that could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
