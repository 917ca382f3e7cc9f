"""How far a long measurement is, on the error stream: a bar on a terminal, else lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 1.0


class Steps:
    """Told of each step when it begins, which ends the one before."""

    def __init__(self, title: str, total: int, console: Console, bar: Progress) -> None:
        self._title = title
        self._total = total
        self._console = console
        self._bar = bar
        self._task = bar.add_task(title, total=total)
        self._begun = 0
        self._started = self._said = time.monotonic()

    def step(self, what: str) -> None:
        """Say that *what* begins; without a terminal, at most once a second."""
        self._bar.update(self._task, completed=self._begun, description=what)
        self._begun += 1
        now = time.monotonic()
        if not self._console.is_terminal and (self._begun == 1 or now > self._said + LINE_EVERY_S):
            self._said = now
            passed_s = now - self._started
            line = f"{self._title} {self._begun}/{self._total}, {passed_s:.0f} s: {what}"
            self._console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def steps(title: str, total: int) -> Iterator[Steps]:
    """Show *total* steps while the context is open."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield Steps(title, total, console, bar)
