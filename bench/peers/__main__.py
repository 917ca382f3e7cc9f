"""The process of one peer: ``python -m bench.peers NAME SCRATCH DESCRIPTOR``.

Answers over the connection that it was given: ``True`` once it is warm, then for each Work the
number of rows and the seconds that it took, or the text of what went wrong. Ends with the
connection.
"""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from bench.peers.all import PEERS
from bench.peers.peer import Peer, Work


def main() -> None:
    """Serve until the other end is closed."""
    name, scratch, descriptor = sys.argv[1:]
    peer = PEERS[name]
    with Connection(int(descriptor)) as line:
        try:
            peer.start(Path(scratch))
            line.send(True)
            while True:
                line.send(_timed(peer, line.recv()))
        except (EOFError, BrokenPipeError):
            pass
        finally:
            peer.close()


def _timed(peer: Peer, work: Work) -> tuple[int, float] | str:
    started = time.perf_counter()
    try:
        rows = peer.run(work)
        return rows, time.perf_counter() - started
    except Exception as exc:  # noqa: BLE001 - whatever a peer raises is its result
        traceback.print_exc()
        text = str(exc).strip() or "no reason given"
        return f"{type(exc).__name__}: {text.splitlines()[0]}"
    finally:
        if work.target.is_dir():
            shutil.rmtree(work.target)
        else:
            work.target.unlink(missing_ok=True)


if __name__ == "__main__":  # processes of a pool or a cluster import this module too
    main()
