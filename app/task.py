"""The main program of a task process: loads the programs, then serves its worker.

Arguments: the lane, and the file descriptor of the connection to the worker.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys

from app.runtime import log_to_stderr, steps_of
from app.settings import load_settings
from workers.serve import serve_at_once, serve_in_turn

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve attempts until the worker hangs up or dies."""
    lane, parent, descriptor = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _die_with(parent)
    log_to_stderr()
    steps = steps_of(load_settings(os.environ))
    connection = socket.socket(fileno=descriptor)
    if lane == "loop":
        asyncio.run(serve_at_once(connection, steps))
    else:
        serve_in_turn(connection, steps)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its worker dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the worker is gone")


if __name__ == "__main__":
    main()
