"""How a process is told to end: with time for what runs, or at once.

SIGTERM leaves time. SIGINT does not, nor does SIGHUP, which tells a worker that the service around
it is gone, nor any second signal.
"""

from __future__ import annotations

import asyncio
import signal


class Stop:
    """What those who wait for the end of a process look at.

    Attributes:
        told: Set when the process is to end.
        hurry: Set when it is to end at once, without waiting for what runs.
    """

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.hurry = asyncio.Event()

    @classmethod
    def on_signals(cls) -> Stop:
        """Return one that the signals of this process set; to be called inside its event loop."""
        stop = cls()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.tell)
        for name in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(name, stop.tell_to_hurry)
        return stop

    def tell(self) -> None:
        """End; at once when this is the second time."""
        if self.told.is_set():
            self.hurry.set()
        self.told.set()

    def tell_to_hurry(self) -> None:
        """End at once."""
        self.told.set()
        self.hurry.set()
