"""Child processes that end with the process that started them, even when that is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

# Becomes the command after asking the kernel for a signal at the parent's death. A program of its
# own, because code between fork and exec (preexec_fn) may deadlock in a process with threads. The
# parent that died before the request would be missed, so its id is compared afterwards.
# Arguments: the parent's id, the signal, then the command.
_LAUNCHER: Final = """
import os, sys
if sys.platform == "linux":
    import ctypes
    if ctypes.CDLL(None).prctl(1, int(sys.argv[2]), 0, 0, 0):  # PR_SET_PDEATHSIG
        sys.exit("prctl failed")
if os.getppid() != int(sys.argv[1]):
    sys.exit("the service is gone")
os.execv(sys.argv[3], sys.argv[3:])
"""


def tied(command: Sequence[str], *, at_death: signal.Signals = signal.SIGTERM) -> list[str]:
    """Return a command that becomes *command*, which gets *at_death* when this process ends.

    On Linux; elsewhere the child stays. The kernel ties the child to the thread that starts it, so
    start it from a thread that lives as long as the process, usually the main one.

    Args:
        command: An absolute path and arguments.
        at_death: What the kernel sends.
    """
    interpreter = (sys.executable, "-I", "-S", "-c", _LAUNCHER)
    return [*interpreter, str(os.getpid()), str(int(at_death)), *command]
