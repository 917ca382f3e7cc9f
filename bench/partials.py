"""What answers before the end cost: the same job with ``partialEveryMs`` and without, in turns.

A job that is followed is planned otherwise: in 16 batches or more where it would have one per
worker (SQL) or four (a program with ``combine``), since an answer so far covers whole batches. So
there are two costs. "Planned for it" asks for an answer once a day, which none of these jobs lives
to see: all that it pays is the finer plan, whose map tasks each shuffle the keys that they share
with the others anew. The other rows pay for the answers too. Their ratio to a job that is not
followed is what a caller pays; "answers" is how many were seen, medians, by a follower who reads
them all.

Environment: ``BENCH_PARTIAL_MS`` ("1000,200") names the pauses, ``BENCH_JOBS`` ("J2p,J3p,J4") picks
jobs; ``BENCH_SCALE``, ``BENCH_RUNS`` and ``BENCH_DATA`` as in the data plane. Sources of no more
than 16 MiB are planned as if nobody followed.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from typing import Any

from bench import jobs, settings
from bench.client import Caller, Followed, spec_of
from bench.jobs import Job, Task
from bench.progress import Steps, steps
from bench.report import show, spread
from bench.service import PROGRAMS, service

GOAL = 1.10
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Variant:
    """A way to follow a job: its name in the table, and ``partialEveryMs``."""

    name: str
    partial_every_ms: int


def main() -> None:
    """Measure and print."""
    pauses = [int(pause) for pause in os.environ.get("BENCH_PARTIAL_MS", "1000,200").split(",")]
    variants = [
        Variant("not followed", 0),
        Variant("planned for it", DAY_MS),
        *(Variant(f"every {pause} ms", pause) for pause in pauses),
    ]
    chosen = jobs.picked("J2p,J3p,J4")
    folder = settings.data_folder()
    rows = []
    with (
        service(source_root=folder, extra={"FANFOLD_PROGRAMS": str(PROGRAMS)}) as running,
        Caller(running.url) as caller,
        steps("partials", len(chosen) * len(variants) * (settings.runs() + 1)) as progress,
    ):
        for job in chosen:
            rows += _measure(job, variants, caller, progress)
    show(
        f"answers before the end, {settings.scale():g} of full size",
        ["job", "", "s", "ratio to not followed", "goal", "answers"],
        rows,
    )


def _measure(job: Job, variants: list[Variant], caller: Caller, progress: Steps) -> list[list[str]]:
    """Return rows of the table, one for each variant, the first being the one not followed.

    Raises:
        AssertionError: The number of rows depends on the variant.
    """
    seconds: dict[Variant, list[float]] = {variant: [] for variant in variants}
    answers: dict[Variant, list[int]] = {variant: [] for variant in variants}
    expected = None
    for number in range(settings.runs() + 1):
        for variant in variants:
            progress.step(f"{job.name}, {variant.name}" + (", warming up" if not number else ""))
            started = time.perf_counter()
            followed = _run(job, variant, caller)
            passed_s = time.perf_counter() - started
            expected = followed.rows if expected is None else expected
            if followed.rows != expected:
                raise AssertionError(f"{job.name}: {followed.rows} rows instead of {expected}")
            if number:
                seconds[variant].append(passed_s)
                answers[variant].append(followed.partials)
    return [
        [
            "top words in Python, text" if job.task is Task.REGEX else f"{job.name} {job.what}",
            variant.name,
            spread(seconds[variant]),
            spread([a / b for a, b in zip(seconds[variant], seconds[variants[0]], strict=True)]),
            f"{GOAL:g}" if variant.partial_every_ms else "",
            f"{statistics.median(answers[variant]):g}",
        ]
        for variant in variants
    ]


def _run(job: Job, variant: Variant, caller: Caller) -> Followed:
    spec = {**_spec(job), "partialEveryMs": variant.partial_every_ms}
    return caller.run(spec)


def _spec(job: Job) -> dict[str, Any]:
    """Return the job's input; for Python, one with an answer that is small enough to be shown."""
    if job.task is not Task.REGEX:
        return spec_of(job)
    return {**spec_of(job), "program": "wordcount", "params": {"top": 20}}
