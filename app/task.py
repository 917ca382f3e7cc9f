"""The main program of a task process: loads the programs, then serves its worker.

Arguments: the lane, a scratch folder of its own, and the file descriptor of the connection to the
worker. A process of the lane ``sql`` gives up every right that queries have no business with before
it opens a database.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from app.confinement import confine
from app.garbage import collect_garbage_seldom
from app.runtime import log_to_stderr, steps_of
from app.settings import Settings, load_settings
from engine.steps import Steps
from workers.serve import Check, serve_at_once, serve_in_turn


def main() -> None:
    """Serve attempts until the worker hangs up."""
    lane, scratch, descriptor = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    settings = load_settings(os.environ)
    log_to_stderr(settings)
    connection = socket.socket(fileno=descriptor)
    if lane == "loop":
        steps = steps_of(settings, scratch=scratch)
        collect_garbage_seldom()
        uvloop.run(serve_at_once(connection, steps))
    elif lane == "sql":
        steps, check = _sql(settings, scratch)
        collect_garbage_seldom()
        serve_in_turn(connection, steps, check)
    else:
        steps = steps_of(settings, scratch=scratch)
        collect_garbage_seldom()
        serve_in_turn(connection, steps)
    sys.stderr.flush()
    os._exit(0)  # nothing is left to do, and DuckDB complains about an interpreter that ends


def _sql(settings: Settings, scratch: Path) -> tuple[Steps, Check]:
    from engine.sql.runtime import SqlRuntime  # only here: DuckDB takes a while to load

    steps = steps_of(settings, scratch=scratch)
    confine(settings, scratch)
    runtime = SqlRuntime(
        catalog=steps.catalog,
        sources=steps.sources,
        folders=settings.source_roots,
        scratch=scratch,
    )
    return replace(steps, sql=runtime.work, tidy=runtime.tidy), runtime.check


if __name__ == "__main__":
    main()
