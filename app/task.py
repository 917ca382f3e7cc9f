"""The main program of a task process: loads the programs, then serves its worker.

Arguments: the lane, and the file descriptor of the connection to the worker.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from typing import Final

from app.runtime import log_to_stderr, steps_of
from app.settings import load_settings
from workers.serve import serve_at_once, serve_in_turn

GC_AFTER_OBJECTS: Final = 200_000


def main() -> None:
    """Serve attempts until the worker hangs up."""
    lane, descriptor = sys.argv[1], int(sys.argv[2])
    log_to_stderr()
    steps = steps_of(load_settings(os.environ))
    _collect_garbage_seldom()
    connection = socket.socket(fileno=descriptor)
    if lane == "loop":
        asyncio.run(serve_at_once(connection, steps))
    else:
        serve_in_turn(connection, steps)


def _collect_garbage_seldom() -> None:
    """Look for cycles less often: tasks make millions of objects, and few cycles."""
    gc.freeze()
    gc.set_threshold(GC_AFTER_OBJECTS, 20, 100)


if __name__ == "__main__":
    main()
