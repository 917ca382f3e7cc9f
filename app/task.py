"""The main program of a task process: loads the programs, then serves its worker.

Arguments: the lane, and the file descriptor of the connection to the worker.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from app.runtime import log_to_stderr, steps_of
from app.settings import load_settings
from workers.serve import serve_at_once, serve_in_turn


def main() -> None:
    """Serve attempts until the worker hangs up."""
    lane, descriptor = sys.argv[1], int(sys.argv[2])
    log_to_stderr()
    steps = steps_of(load_settings(os.environ))
    connection = socket.socket(fileno=descriptor)
    if lane == "loop":
        asyncio.run(serve_at_once(connection, steps))
    else:
        serve_in_turn(connection, steps)


if __name__ == "__main__":
    main()
